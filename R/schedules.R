# Schedules of the learning rate: plain descriptions that compile() takes to Python.

#' Schedules of the learning rate
#'
#' How the learning rate goes during a training. The rate that [compile()][compile.seg_model()] sets
#' is the highest; before each step of the optimizer it is multiplied by a factor f, a function of
#' the share t of the steps done, from 0 to 1. The history of the training then has the metric
#' `learning_rate`: that of each epoch's last step.
#'
#' * `"cosine"`: \eqn{f = a + (1 - a) (1 + \cos \pi t) / 2}. Argument `floor` (a) 0, from 0 to 1.
#' * `"polynomial"`: \eqn{f = a + (1 - a) (1 - t)^p}, with which DeepLab and SegFormer were trained.
#'   Arguments `power` (p) 0.9, above 0; `floor` (a) 0, from 0 to 1.
#' * `"one_cycle"`: up from `start` to 1 during the share `rise` of the steps and then down to
#'   `floor`, both by half a cosine. Arguments `rise` 0.3, `start` 0.04 and `floor` 4e-6, each from
#'   0 to 1.
#' * `"step"`: times `factor` after every `every` epochs. Arguments `every` 10, above 0; `factor`
#'   0.1, from 0 to 1.
#' * `"plateau"`: times `factor`, but never below `floor`, whenever the metric by which
#'   [fit()][fit.seg_model()] judges epochs (without validation data the loss) has not improved by
#'   more than the share `min_delta` for more than `patience` epochs; after a reduction `cooldown`
#'   epochs are not judged. Arguments `factor` 0.1, from 0 to 1; `patience` 5 and `cooldown` 0,
#'   whole numbers of at least 0; `min_delta` 1e-4, at least 0; `floor` 0, from 0 to 1.
#' * `"constant"`: 1, which leaves the warm-up alone.
#'
#' @param name One of the names above.
#' @param warmup Epochs, at least 0 and not necessarily whole, in which the rate first rises from
#'   near 0 in a straight line; the schedule begins after them. `"one_cycle"` has its own.
#' @param ... Arguments of the schedule, by name.
#' @return An object of class `seg_schedule`: a plain list.
#' @references Loshchilov & Hutter (2017) SGDR, \url{https://arxiv.org/abs/1608.03983}
#'   (`"cosine"`). Chen, Papandreou, Kokkinos, Murphy & Yuille (2018) DeepLab,
#'   \url{https://arxiv.org/abs/1606.00915} (`"polynomial"`). Smith & Topin (2017)
#'   Super-convergence, \url{https://arxiv.org/abs/1708.07120} (`"one_cycle"`).
#' @concept training
#' @export
#' @examples
#' seg_schedule("cosine", warmup = 0.5)
#' seg_schedule("step", every = 4, factor = 0.5)
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 1, classes = c(background = 0, nucleus = 1), init_features = 4)
#' model |> compile(learning_rate = 1e-3, schedule = seg_schedule("polynomial", warmup = 1))
seg_schedule <- function(name, ..., warmup = 0) {
  name <- check_choice(name, names(schedule_arguments))
  warmup <- check_number(warmup, min = 0)
  arguments <- check_arguments(list(...), schedule_arguments[[name]], "schedule", name)
  if (name == "one_cycle" && warmup > 0) {
    maskr_abort("argument", c(
      "The schedule {.val one_cycle} warms up by itself.",
      i = "Leave {.arg warmup} out; {.arg rise} is the share of the steps that it takes."
    ), arg = "warmup")
  }
  structure(list(name = name, warmup = warmup, arguments = arguments), class = "seg_schedule")
}

# How each argument is checked: functions of the value and its name, and of the call to blame.
schedule_arguments <- local({
  share <- \(x, ...) check_number(x, min = 0, max = 1, ...)
  count <- \(x, ...) check_whole(x, min = 0, ...)
  list(
    cosine = list(floor = share),
    polynomial = list(power = check_positive, floor = share),
    one_cycle = list(rise = share, start = share, floor = share),
    step = list(every = check_positive, factor = share),
    plateau = list(factor = share, patience = count, cooldown = count, floor = share,
                   min_delta = \(x, ...) check_number(x, min = 0, ...)),
    constant = list()
  )
})

# What crosses to Python's `schedules.make()`; NULL stays so.
schedule_for_python <- function(x, call = rlang::caller_env()) {
  if (is.null(x)) return(NULL)
  if (is.character(x)) {
    x <- seg_schedule(check_choice(x, names(schedule_arguments), arg = "schedule", call = call))
  }
  if (!inherits(x, "seg_schedule")) {
    maskr_abort("argument", c(
      "{.arg schedule} must be a {.fn seg_schedule} or its name, not {describe(x)}."
    ), arg = "schedule", call = call)
  }
  c(x[c("name", "warmup")], x$arguments)
}

#' @export
format.seg_schedule <- function(x, ...) {
  given <- c(x$arguments, if (x$warmup > 0) list(warmup = x$warmup))
  values <- vapply(given, format, character(1))
  inside <- c(dQuote(x$name, FALSE), if (length(given)) paste(names(given), values, sep = " = "))
  paste0("seg_schedule(", paste(inside, collapse = ", "), ")")
}

#' @export
print.seg_schedule <- function(x, ...) {
  cat("<", format(x), ">\n", sep = "")
  invisible(x)
}
