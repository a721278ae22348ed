# Everything runs in the environment that tools/setup makes in .maskr/. `make help` lists the rest.
RUN := tools/run
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help install demo test check docs lint bench

help: ## list these targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

install: ## set up what is missing and install the package into .maskr/R
	@tools/setup

demo: install ## segment real pictures, train a small network (IMAGE=path: a picture of your own)
	@$(RUN) Rscript tools/demo.R $(if $(IMAGE),"$(IMAGE)")

test: install ## run all tests, Python's and R's
	@status=0; \
	$(RUN) pytest -n 2 --dist worksteal || status=1; \
	$(RUN) Rscript tools/test.R || status=1; \
	exit $$status

check: install ## R CMD check
	@rm -rf .maskr/check && mkdir -p .maskr/check
	@cd .maskr/check && export _R_CHECK_FORCE_SUGGESTS_=false _R_CHECK_SYSTEM_CLOCK_=0 && \
	../../$(RUN) R CMD build ../.. && ../../$(RUN) R CMD check --no-manual maskr_*.tar.gz

# Not after `install`, which a NAMESPACE that is out of date would stop.
docs: ## write man/ and NAMESPACE from the roxygen comments
	@[ -d .maskr/R/maskr ] || tools/setup
	@$(RUN) Rscript -e 'roxygen2::roxygenise()'

lint: install ## lintr and ruff
	@status=0; \
	$(RUN) Rscript -e 'print(x <- lintr::lint_package()); quit(status = length(x) > 0)' || status=1; \
	$(RUN) ruff check . || status=1; \
	exit $$status

bench: install ## run every script in bench/
	@set -e; shopt -s nullglob; \
	for script in bench/*.R; do echo "== $$script"; $(RUN) Rscript "$$script"; done; \
	for script in bench/*.py; do echo "== $$script"; $(RUN) python "$$script"; done
