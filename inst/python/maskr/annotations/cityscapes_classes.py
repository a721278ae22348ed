"""The classes of Cityscapes (Cordts et al. 2016)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """A class as Cityscapes publishes it.

    Attributes
    ----------
    id, train_id
        In labelIds and labelTrainIds; 255 and -1 are not trained on.
    has_instances
        Are single objects told apart?
    ignored
        Is it left out of the evaluation?
    """

    name: str
    id: int
    train_id: int
    category: str
    has_instances: bool
    ignored: bool
    colour: str


LABELS = (
    Label("unlabeled", 0, 255, "void", False, True, "#000000"),
    Label("ego vehicle", 1, 255, "void", False, True, "#000000"),
    Label("rectification border", 2, 255, "void", False, True, "#000000"),
    Label("out of roi", 3, 255, "void", False, True, "#000000"),
    Label("static", 4, 255, "void", False, True, "#000000"),
    Label("dynamic", 5, 255, "void", False, True, "#6F4A00"),
    Label("ground", 6, 255, "void", False, True, "#510051"),
    Label("road", 7, 0, "flat", False, False, "#804080"),
    Label("sidewalk", 8, 1, "flat", False, False, "#F423E8"),
    Label("parking", 9, 255, "flat", False, True, "#FAAAA0"),
    Label("rail track", 10, 255, "flat", False, True, "#E6968C"),
    Label("building", 11, 2, "construction", False, False, "#464646"),
    Label("wall", 12, 3, "construction", False, False, "#66669C"),
    Label("fence", 13, 4, "construction", False, False, "#BE9999"),
    Label("guard rail", 14, 255, "construction", False, True, "#B4A5B4"),
    Label("bridge", 15, 255, "construction", False, True, "#966464"),
    Label("tunnel", 16, 255, "construction", False, True, "#96785A"),
    Label("pole", 17, 5, "object", False, False, "#999999"),
    Label("polegroup", 18, 255, "object", False, True, "#999999"),
    Label("traffic light", 19, 6, "object", False, False, "#FAAA1E"),
    Label("traffic sign", 20, 7, "object", False, False, "#DCDC00"),
    Label("vegetation", 21, 8, "nature", False, False, "#6B8E23"),
    Label("terrain", 22, 9, "nature", False, False, "#98FB98"),
    Label("sky", 23, 10, "sky", False, False, "#4682B4"),
    Label("person", 24, 11, "human", True, False, "#DC143C"),
    Label("rider", 25, 12, "human", True, False, "#FF0000"),
    Label("car", 26, 13, "vehicle", True, False, "#00008E"),
    Label("truck", 27, 14, "vehicle", True, False, "#000046"),
    Label("bus", 28, 15, "vehicle", True, False, "#003C64"),
    Label("caravan", 29, 255, "vehicle", True, True, "#00005A"),
    Label("trailer", 30, 255, "vehicle", True, True, "#00006E"),
    Label("train", 31, 16, "vehicle", True, False, "#005064"),
    Label("motorcycle", 32, 17, "vehicle", True, False, "#0000E6"),
    Label("bicycle", 33, 18, "vehicle", True, False, "#770B20"),
    Label("license plate", -1, -1, "vehicle", False, True, "#00008E"),
)
"""The classes of Cityscapes (Cordts et al. 2016)."""

BY_NAME = {one.name: one for one in LABELS}


IDS = {one.name: one.id for one in LABELS if one.id >= 0}

TRAINED = [one for one in LABELS if 0 <= one.train_id < 255]
