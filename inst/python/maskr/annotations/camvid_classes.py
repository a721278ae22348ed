"""The classes of CamVid: the 32 of its owners, and the 11 that SegNet made of them."""

SEGNET = {
    "sky": "#808080",
    "building": "#800000",
    "pole": "#C0C080",
    "road": "#804080",
    "pavement": "#0000C0",
    "tree": "#808000",
    "sign": "#C08080",
    "fence": "#404080",
    "car": "#400080",
    "pedestrian": "#404000",
    "bicyclist": "#0080C0",
}
"""SegNet's classes 0 to 10 with their colours."""

SEGNET_VOID = 11


COLOURS = {
    "Animal": "#408040",
    "Archway": "#C00080",
    "Bicyclist": "#0080C0",
    "Bridge": "#008040",
    "Building": "#800000",
    "Car": "#400080",
    "CartLuggagePram": "#4000C0",
    "Child": "#C08040",
    "Column_Pole": "#C0C080",
    "Fence": "#404080",
    "LaneMkgsDriv": "#8000C0",
    "LaneMkgsNonDriv": "#C00040",
    "Misc_Text": "#808040",
    "MotorcycleScooter": "#C000C0",
    "OtherMoving": "#804040",
    "ParkingBlock": "#40C080",
    "Pedestrian": "#404000",
    "Road": "#804080",
    "RoadShoulder": "#8080C0",
    "Sidewalk": "#0000C0",
    "SignSymbol": "#C08080",
    "Sky": "#808080",
    "SUVPickupTruck": "#4080C0",
    "TrafficCone": "#000040",
    "TrafficLight": "#004040",
    "Train": "#C04080",
    "Tree": "#808000",
    "Truck_Bus": "#C080C0",
    "Tunnel": "#400040",
    "VegetationMisc": "#C0C000",
    "Void": "#000000",
    "Wall": "#40C000",
}
"""The 32 classes and their colours (Brostow, Fauqueur and Cipolla 2009)."""

VOID_COLOUR = "#000000"
