"""Routers by name: the ones that a sweep and the leaderboard compare, and your own from a file."""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from modulefinder import ModuleFinder
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType, ModuleType
from typing import Any

from rb_support.routers import (
    BoostingRouter,
    ClusterRouter,
    CostAwareRouter,
    GuardedKNNRouter,
    KNNRouter,
    LogisticRouter,
    MLPRouter,
    PlaceboRouter,
    RandomRouter,
    ResultVectorRouter,
    RidgeRouter,
)
from rb_support.studies.fits import Made


def _factorization(seed: int) -> Any:
    from rb_support.deploy.battle_routers import FactorizationRouter

    return FactorizationRouter(most=4_000, seed=seed)


ROUTERS: Mapping[str, Callable[..., Any] | str] = MappingProxyType(
    {
        "placebo": PlaceboRouter,
        "random": RandomRouter,
        "knn": partial(KNNRouter, k=40),
        "knn-100": partial(KNNRouter, k=100),
        # a tuned kNN (k about 100) matches learned routers, says arXiv 2505.12601
        "knn-chosen": partial(KNNRouter, k=(5, 10, 20, 40, 80, 160, 320)),
        "knn-guarded": GuardedKNNRouter,
        "ridge": RidgeRouter,
        "mlp": MLPRouter,
        "mlp-ensemble": partial(MLPRouter, members=5, start="means"),
        "logistic": LogisticRouter,
        "boosting": BoostingRouter,
        "clusters": ClusterRouter,
        "result-vectors": ResultVectorRouter,
        "carrot-knn": lambda seed: CostAwareRouter(
            KNNRouter(40, seed=seed), KNNRouter(40, shrink=True, seed=seed), seed=seed
        ),
        "carrot-ridge": lambda seed: CostAwareRouter(RidgeRouter(seed=seed), seed=seed),
        "sw": "rb_support.deploy.battle_routers:SWRouter",
        "factorization": _factorization,
    }
)
"""Name -> what makes a router: a class, or one with settings, called with `seed` if it takes one; or,
where its module takes long to import, the place of the class."""

NULL = ("placebo", "random")
"""Routers that know nothing."""

_NAME = re.compile(r"(?P<base>[^()]+?)\s*(?:\((?P<settings>.*)\))?", re.DOTALL)
_OWN = re.compile(r"(?P<path>.+\.py):(?P<inside>[^:]+)")


class RouterError(ValueError):
    """A router that was named cannot be made; the message says why."""


def made(name: str, text: str | None = None) -> Made:
    """What makes a router of a name.

    Parameters
    ----------
    name : one of `ROUTERS`, or "my_router.py:MyRouter" for a class or function of a file;
        with settings, which are literals, "knn(k=10)" or "my_router.py:MyRouter(depth=3)".
    text : of that file, where it lies on another machine; None reads it.

    Raises
    ------
    RouterError : if there is no such router, file or setting.
    """
    base, settings = _parsed(name)
    maker: Callable[..., Any]
    if own := _OWN.fullmatch(base):
        maker = _inside(own["path"], own["inside"], text or str(own_text(name)), own_digest(name))
    elif base in ROUTERS:
        there = ROUTERS[base]
        maker = resolve_name(there) if isinstance(there, str) else there
    else:
        raise RouterError(f"no router is called {base!r}; there are {', '.join(ROUTERS)}, and FILE.py:CLASS")
    known = inspect.signature(maker).parameters.values()
    names = [each.name for each in known if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    takes_all = any(each.kind == each.VAR_KEYWORD for each in known)
    if not takes_all and (strange := sorted(settings.keys() - set(names))):
        listed = ", ".join(each for each in names if each != "seed") or "none"
        raise RouterError(f"{base} has no setting {', '.join(strange)}; there are: {listed}")
    return partial(_make, name, maker, "seed" in names, settings)


def own_text(name: str) -> str | None:
    """Text of the file that an own router is in; None for one of `ROUTERS`.

    Raises
    ------
    RouterError : if it cannot be read.
    """
    own = _OWN.fullmatch(_parsed(name)[0])
    if own is None:
        return None
    try:
        return Path(own["path"]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RouterError(f"{own['path']} cannot be read ({error})") from error


def own_digest(name: str) -> str:
    """Digest of the file that an own router is in and of the modules beside it that it imports.

    "" for one of `ROUTERS`, and where the file is not on this machine.
    """
    own = _OWN.fullmatch(_parsed(name)[0])
    if own is None or not Path(own["path"]).is_file():
        return ""
    told = hashlib.sha256()
    for path in _own_files(Path(own["path"]).resolve()):
        told.update(hashlib.sha256(path.read_bytes()).digest())
    return told.hexdigest()


def _own_files(path: Path) -> list[Path]:
    """A file, and all modules beside it that it imports, wherever in its text it does; not this package."""
    finder = ModuleFinder([str(path.parent)], excludes=[__package__.partition(".")[0]])
    with suppress(SyntaxError):  # which running it tells, with its place
        finder.run_script(str(path))
    files = {getattr(module, "__file__", None) for module in finder.modules.values()}
    return [path, *sorted({Path(file) for file in files if file} - {path})]


def _parsed(name: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of "knn(k=10)"."""
    parts = _NAME.fullmatch(name.strip())
    if parts is None:
        raise RouterError(f"{name!r} is no name of a router, such as knn or knn(k=10)")
    try:
        call = ast.parse(f"_({parts['settings'] or ''})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or None in [each.arg for each in call.keywords]:
            raise ValueError("each needs a name")
        return parts["base"], {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError) as error:
        wanted = f"settings of {name!r} must be literals with names, such as k=10"
        raise RouterError(f"{wanted} ({error})") from error


@lru_cache
def _module(path: str, text: str, sha256: str) -> ModuleType:
    """Module made of a file's text; what it imports from beside it is imported anew for another digest."""
    if sha256:
        beside_it = set(map(str, _own_files(Path(path).resolve())))
        for known, module in list(sys.modules.items()):
            if getattr(module, "__file__", None) in beside_it:
                del sys.modules[known]
    name = f"{Path(path).stem}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    module = sys.modules[name] = ModuleType(name)  # dataclasses look themselves up there
    module.__file__ = path
    beside = str(Path(path).resolve().parent)
    if beside not in sys.path:
        sys.path.append(beside)
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    except Exception as error:
        raise RouterError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    return module


def _inside(path: str, name: str, text: str, sha256: str) -> Callable[..., Any]:
    """A class or function of a file."""
    module = _module(path, text, sha256)
    found = getattr(module, name, None)
    if not callable(found):
        its_own = module.__name__
        there = [key for key, each in vars(module).items() if getattr(each, "__module__", "") == its_own]
        raise RouterError(f"{path} has no class or function {name!r}; it has {', '.join(there) or 'none'}")
    return found


def _make(name: str, maker: Callable[..., Any], seeded: bool, settings: dict[str, Any], seed: int) -> Any:
    try:
        router = maker(**({"seed": seed} if seeded else {}), **settings)
    except Exception as error:
        raise RouterError(f"{name} cannot be made: {type(error).__name__}: {error}") from error
    if lacking := [each for each in ("fit", "predict") if not callable(getattr(router, each, None))]:
        wanted = "fit(train, X) and predict(X) -> (n, m) quality"
        raise RouterError(f"{name} has no {' and no '.join(lacking)}; a router has {wanted}")
    return router
