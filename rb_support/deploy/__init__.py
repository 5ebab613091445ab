"""Trained routers as files: fit, calibrate to a goal, save, load, route.

router = fit(Outcomes.read("mine.parquet"), "ridge").calibrate(quality=0.95)
router.save("router")
load("router").route(["What is 2 + 2?"])
"""

from rb_support.deploy.calibration import Goal, Setting
from rb_support.deploy.drift import Drift
from rb_support.deploy.router import DeployedRouter, RouterFileError, fit, load
from rb_support.deploy.worth import Worth

__all__ = ["DeployedRouter", "Drift", "Goal", "RouterFileError", "Setting", "Worth", "fit", "load"]
