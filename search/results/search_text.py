"""What a search found, as the terminal shows it."""

from rich.console import Console

from search.results.display import Display
from search.results.influence import influence_sentences
from search.results.summary import best_edges, curve_text, front_as_table, table, width_curve
from search.store.state import StudyState


def show_search(state: StudyState, console: Console) -> None:
    """Print the best trial beside the baseline, where to look next, and the best value along the main parameter."""
    display = Display.of(state.attributes)
    console.print(table(state.best, state.baseline, display))
    if (front := front_as_table(state, display)) is not None:
        console.print("\nthe Pareto front")
        console.print(front)
    for sentence in (*(edge.sentence for edge in best_edges(state)), *influence_sentences(state)):
        console.print(sentence, markup=False)
    console.print(f"\nbest {display.metric} by {display.axis(display.main)}", markup=False)
    for line in curve_text(width_curve(state.finished, display), display):
        console.print(line, markup=False)
