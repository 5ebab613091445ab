"""The site in a real browser, opened from its folder: nothing fetched, nothing in the console, all works."""

import re

import pytest
from conftest import ROOT

axe = pytest.importorskip(
    "axe_core_python.sync_playwright", reason="the browser tests need the extra 'browser'"
)
pytest.importorskip("myst_nb", reason="the site needs the extra 'site'")

import site_made  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
KINDS_OF_PAGES = [
    "index.html",
    "gallery/index.html",
    "gallery/rb-fig4.html",
    "gallery/rb-tab-aiq.html",
    "claims.html",
    "run.html",
    "teaching.html",
    "search.html",
    "docs/glossary.html",
    "docs/from-your-logs-to-a-router.html",
    "api/index.html",
    "api/frontier.html",
    *(f"notebooks/{path.stem}.html" for path in NOTEBOOKS),
    f"notebooks/solutions/{NOTEBOOKS[0].stem}.html",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return site_made.built(tmp_path_factory)


@pytest.fixture
def opened(browser, folder, request):
    """Opens a page; what it says in the console and asks of the network is held against it in the end."""
    width, theme = getattr(request, "param", (1400, "light"))
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=theme)
    page, wrong = context.new_page(), []

    def ask(route):
        if route.request.url.startswith("file:"):
            return route.continue_()
        wrong.append(f"{page.url} asks for {route.request.url}")
        return route.abort()

    page.route("**/*", ask)
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda said: said.type in ("error", "warning") and wrong.append(f"{page.url}: {said.text}"),
    )

    def go(name):
        page.goto((folder / name.partition("#")[0]).as_uri() + "".join(name.partition("#")[1:]))
        return page

    yield go
    context.close()
    assert not wrong


def test_pages_open_with_all_their_pictures_and_fit_a_phone(opened, folder):
    for path in sorted(folder.rglob("*.html")):
        page = opened(path.relative_to(folder).as_posix())
        page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
        page.wait_for_function("[...document.images].every(i => i.complete)")
        missing = page.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)")
        assert not missing, path.name
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path.name
        page.set_viewport_size({"width": 1400, "height": 1000})
        assert page.evaluate("document.documentElement.scrollWidth") <= 1400, path.name


def barriers(page, **options):
    """What axe-core calls serious or critical; of a table's many rows a few stand for all."""
    page.evaluate("document.querySelectorAll('tbody tr:nth-child(n + 25)').forEach(row => row.remove())")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"], **options})["violations"]
    return [
        f"{barrier['id']}: {node['html'][:150]}"
        for barrier in found
        if barrier["impact"] in ("serious", "critical")
        for node in barrier["nodes"][:3]
    ]


@pytest.mark.parametrize("name", KINDS_OF_PAGES)
def test_no_barrier_that_axe_calls_serious(opened, name):
    assert not barriers(opened(name))


@pytest.mark.parametrize("opened", [(1400, "dark")], indirect=True, ids=["dark"])
@pytest.mark.parametrize("name", [name for name in KINDS_OF_PAGES if "/0" not in name] + KINDS_OF_PAGES[-1:])
def test_colours_differ_enough_in_the_dark(opened, name):
    assert not barriers(opened(name), runOnly={"type": "rule", "values": ["color-contrast"]})


def test_the_switch_shows_the_other_data_and_pages_remember_it(opened):
    page = opened("gallery/index.html")
    figures = page.locator(".card img:visible")
    assert "/simulated/" in figures.first.get_attribute("src")
    page.locator("input[value=real]").check()
    assert "/real/" in figures.first.get_attribute("src")
    assert all("/real/" in (image.get_attribute("src") or "") for image in figures.all())
    page.locator(".card a").nth(3).click()
    page.wait_for_url("**/rb-fig4.html")
    assert page.locator("section.item:visible").get_attribute("data-kind") == "real"
    page.locator("input[value=simulated]").check()
    assert page.locator("section.item:visible").get_attribute("data-kind") == "simulated"


def test_a_link_may_ask_for_real_data(opened):
    page = opened("gallery/rb-fig4.html#real")
    assert page.locator("section.item:visible").get_attribute("data-kind") == "real"


def test_filters_of_the_ledger(opened):
    page = opened("claims.html")
    rows, shown = page.locator(".ledger tbody tr"), page.locator(".ledger tbody tr:visible")
    everything = rows.count()
    assert shown.count() == everything > 200
    page.locator("select[name=verdict]").select_option("does not hold")
    refuted = shown.count()
    assert 0 < refuted < everything
    page.locator("select[name=data]").select_option("real")
    page.locator("select[name=paper]").select_option("RouteLLM")
    assert 0 < shown.count() < refuted
    for row in shown.all():
        assert (
            row.get_attribute("data-verdict") == "does not hold" and row.get_attribute("data-data") == "real"
        )
    assert page.locator(".count").text_content() == f"{shown.count()} of {everything} statements"
    page.locator("input[name=words]").fill("no such words anywhere")
    assert shown.count() == 0
    page.locator("input[name=words]").fill("mt bench")
    assert all("mt bench" in row.text_content().lower() for row in shown.all())


def test_filters_of_the_leaderboard(opened):
    page = opened("leaderboard.html")
    rows, shown = page.locator(".ledger tbody tr"), page.locator(".ledger tbody tr:visible")
    everything = rows.count()
    page.locator("select[name=data]").select_option("real")
    page.locator("select[name=router]").select_option("placebo")
    assert 0 < shown.count() < everything
    assert page.locator(".count").text_content() == f"{shown.count()} of {everything} cells"
    assert {row.get_attribute("data-router") for row in shown.all()} == {"placebo"}


def test_the_keyboard_reaches_filters_and_switch(opened):
    page = opened("claims.html")
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || ''"))
    assert {"verdict", "paper", "data", "chapter", "words"} <= reached
    page.locator("select[name=verdict]").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("select[name=verdict]").input_value() != ""
    page = opened("gallery/index.html")
    page.locator("input[value=simulated]").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("html").get_attribute("data-kind") == "real"


@pytest.mark.parametrize("word", ["placebo", "hull", "threshold_sweep"])
def test_search_finds_from_a_folder(opened, word):
    page = opened("index.html")
    page.locator("input.sidebar-search").fill(word)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r".*search\.html.*"))
    results = page.locator("#search-results li a")
    results.first.wait_for()
    results.first.click()
    page.wait_for_load_state()
    assert word in page.locator("[role=main]").text_content().lower()


def test_light_and_dark_differ_and_can_be_chosen(opened):
    page = opened("index.html")
    color = "getComputedStyle(document.body).backgroundColor"
    seen = {page.evaluate(color)}
    for _ in range(2):
        page.locator(".theme-toggle:visible").first.click()
        seen.add(page.evaluate(color))
    assert len(seen) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_where_a_hand_would_move_a_slider_a_strip_stands(opened, path):
    wanted = path.read_text(encoding="utf-8").count("teach.explore(")
    page = opened(f"notebooks/{path.stem}.html")
    page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    strips = page.locator("img[alt^='Strip of pictures']")
    assert strips.count() == wanted
    assert all(strip.evaluate("i => i.decode().then(() => i.naturalWidth)") > 400 for strip in strips.all())


def test_folded_code_opens(opened):
    page = opened(f"notebooks/{NOTEBOOKS[0].stem}.html")
    folded = page.locator("details.hide summary, details.above-input summary")
    for fold in folded.all()[:2]:
        fold.click()
        assert fold.evaluate("s => s.parentElement.open")


def test_formulas_take_room(opened):
    page = opened("docs/glossary.html")
    sizes = page.evaluate("[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().width)")
    assert sizes and min(sizes) > 3
