# Two commands for a machine with Python, make and a C compiler: `make bringup` and `make test`. `make test-fast` leaves
# out the tests that start processes or take long. Tests that start processes mostly wait for them: two workers have them
# run at the same time, whole files by one worker. `make test WORKERS=0` runs one test after another.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LIBERO := .venv-libero
RCLPY := .venv-rclpy
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --hypothesis-profile reproducible
RCLPY_TESTS := $(addprefix tests/ros/conformance/test_,$(addsuffix .py,topics services_actions parameters executors_time logging))
INSTRUCTION ?= stack the red block on the green block
SHARED := package.xml $(shell find launch config models -type f 2>/dev/null)

.DELETE_ON_ERROR:
.PHONY: bringup test test-fast test-libero test-rclpy lint install libero rclpy clean

bringup: install
	PATH="$(CURDIR)/$(BIN):$$PATH" ros2 launch mini_diffuser_ros bringup.launch.py \
		instruction:="$(INSTRUCTION)" exit_on_done:=true viewer:=web

# Nodes that supervise one another by the clock can fail a test because the machine was busy with something else: what
# failed is tried once more by itself, and two failures count. The first report stays in the output, to be mended.
test: install lint rclpy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) || PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest \
		--last-failed --last-failed-no-failures none --hypothesis-profile reproducible
	$(MAKE) --no-print-directory test-rclpy

test-fast: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) -m fast

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(VENV)/.installed $(VENV)/.shared

# Everything from the package indexes, then our three distributions; only when what they ask for has changed.
$(VENV)/.installed: setup.py pyproject.toml constraints.txt pocketros/pyproject.toml $(shell find interfaces -type f 2>/dev/null)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "setuptools>=77" wheel torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
		--editable ./pocketros --editable ".[dev]" ./interfaces
	touch $@

# Launch files, configuration and checkpoints go to the share folder, where `ros2 launch` looks for them; pip leaves
# them out of an editable install.
$(VENV)/.shared: $(VENV)/.installed $(SHARED)
	$(BIN)/python -W ignore setup.py --quiet install_data --install-dir $(VENV)
	touch $@

# LIBERO in an environment of its own, since it needs MuJoCo 3: 2.6 GB. Its wheels ask for a windowed OpenCV and for test
# tools that nothing imports, hence --no-deps and the list of what they do import.
libero: $(LIBERO)/.installed

$(LIBERO)/.installed: setup.py constraints.txt config/libero/packages.txt config/libero/wheels.txt
	$(PYTHON) -m venv $(LIBERO)
	sed 's/^mujoco==.*/mujoco<4/' constraints.txt > $(LIBERO)/constraints.txt
	$(LIBERO)/bin/python -m pip install --quiet --constraint $(LIBERO)/constraints.txt "setuptools>=77" wheel torch
	$(LIBERO)/bin/python -m pip install --quiet --constraint $(LIBERO)/constraints.txt --no-build-isolation \
		--editable . --requirement config/libero/packages.txt
	$(LIBERO)/bin/python -m pip install --quiet --no-deps --requirement config/libero/wheels.txt
	touch $@

test-libero: libero
	$(LIBERO)/bin/python -m pytest tests/with_libero

# The genuine rclpy of PyPI in an environment of its own, 0.3 GB: what of tests/ros/conformance needs nothing but rclpy, and
# tests/pocketros/test_fast_dds.py, which talks to it. It has wheels for x86-64 alone; where it cannot be had, a line says so.
test-rclpy: rclpy
	@test ! -e $(RCLPY)/.installed || for again in "" "--last-failed"; do \
		PYTHONPATH=tests ROS_LOG_DIR=$(CURDIR)/$(RCLPY)/log $(RCLPY)/bin/python -m pytest \
			--confcutdir tests/ros/conformance -p conftest --override-ini cache_dir=.pytest_cache/rclpy \
			--hypothesis-profile reproducible $$again $(RCLPY_TESTS) && exit; done

rclpy:
	@$(MAKE) --no-print-directory --silent $(RCLPY)/.installed || \
		echo "== the genuine rclpy of PyPI cannot be installed here: skipped what is tested with it"

$(RCLPY)/.installed: tests/ros/conformance/genuine.txt
	$(PYTHON) -m venv --clear $(RCLPY)
	$(RCLPY)/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf $(VENV) $(LIBERO) $(RCLPY) build *.egg-info
