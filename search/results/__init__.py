"""What is shown of a study: text, JSON, figures, the page, the dashboard's notes, and progress.

    summary.py          the search so far, as text and JSON      search_figures.py   figures of the search
    search_text.py      the search, in the terminal              verdict_figures.py  figures of the verdict
    verdict_text.py     the verdict, in the terminal             influence.py        where to look next
    page.py             the verdict, as a page                   drawing.py          how all figures are drawn
    display.py          how settings and metrics are written     prose.py            the words of any study
    article.py          the article's own words and figures
    notes.py            all of it, for optuna-dashboard          predictions.py      a grid of predicted digits
    progress.py         who works, how fast, what is left        follow.py           progress on a terminal
    web_server.py       serves optuna-dashboard

Promises: shows what a `StudyState` or `Findings` holds, and reads nothing more. Commands and workers call it.
"""
