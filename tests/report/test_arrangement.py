"""A page begins with the result, ends with the set-up, and leaves out what a study lacks."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from genre_utils.report import arrangement
from genre_utils.report.sentences import absent


def prose(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def code(text="", *tags):
    outputs = [new_output("stream", name="stdout", text=text)] if text else []
    return new_code_cell(f"print({text!r})", outputs=outputs, metadata={"tags": list(tags)})


def lacking(what):
    data, about = absent(what, "It needs recordings.")._repr_markdown_()
    metadata = {"text/markdown": about}
    output = new_output("display_data", {"text/markdown": data}, metadata=metadata)
    return new_code_cell("display(...)", outputs=[output])


def arranged(*cells):
    return arrangement.arrange(new_notebook(cells=[prose("# Title\n\nThe question."), *cells]))


def sources(cells):
    return [cell.source for cell in cells]


def test_parts_stand_in_their_order():
    page = arranged(
        prose("## Set-up"), code(), prose("## 1. One\n\nWhy."), code("seen"), code("won", "summary")
    )
    assert tuple(page.parts) == arrangement.PARTS
    assert sources(page.parts["opening"]) == ["# Title\n\nThe question."]
    assert sources(page.parts["summary"]) == ["print('won')"]
    assert sources(page.parts["body"]) == ["## One\n\nWhy.", "print('seen')"]
    assert sources(page.parts["setup"]) == ["## Set-up", "print('')"]
    assert not page.appendix and not page.absent


def test_a_section_that_shows_just_what_is_lacking_is_left_out():
    page = arranged(prose("## 1. Loudness\n\nHow loud?"), lacking("Loudness"), prose("## 2. Next"),
                    code("next"))  # fmt: skip
    assert sources(page.parts["body"]) == ["## Next", "print('next')"]
    assert page.absent == ["**Loudness.** It needs recordings."]


def test_a_section_that_shows_more_stays_without_what_is_lacking():
    page = arranged(prose("## 1. Sound\n\nTwo things."), lacking("Loudness"), code("seen"))
    assert sources(page.parts["body"])[0] == "## Sound\n\nTwo things."
    assert page.parts["body"][1].outputs == [] and page.absent


def test_a_conclusion_stays_where_the_section_before_it_is_left_out():
    said = new_output("display_data", {"text/markdown": "## Conclusion\n\nSo."})
    last = new_code_cell("display(...)", outputs=[said])
    page = arranged(prose("## 1. Loudness\n\nHow loud?"), lacking("Loudness"), last)
    assert page.parts["body"] == [last]


def test_a_heading_whose_subsections_are_all_left_out_goes_too():
    page = arranged(prose("## 1. Sound"), prose("### Loudness"), lacking("Loudness"),
                    prose("## 2. Next\n\nIt."))  # fmt: skip
    assert sources(page.parts["body"]) == ["## Next\n\nIt."]


def test_a_cell_is_parted_at_its_headings_and_code_is_no_heading():
    page = arranged(prose("Before.\n\n```sh\n# no heading\n```\n\n### One\n\nText."))
    opening, body = page.parts["opening"], page.parts["body"]
    assert sources(opening)[1] == "Before.\n\n```sh\n# no heading\n```"
    assert sources(body) == ["### One\n\nText."]


def test_the_appendix_has_the_headings_of_its_sections_and_is_linked():
    page = arranged(
        prose("## 1. One\n\nWhy."), code("all", "appendix"), prose("### More\n\nSo.", "appendix")
    )
    one, more = '### <a id="Title-One"></a>One', '### <a id="Title-More"></a>More'
    assert sources(page.appendix) == ["## Title", one, "print('all')", more, "So."]
    link = "[More in the appendix](appendix.html#Title-One)"
    assert sources(page.parts["body"]) == ["## One\n\nWhy.", link]


def test_an_appendix_that_shows_nothing_is_none():
    page = arranged(prose("## 1. One\n\nWhy."), code("", "appendix"))
    assert not page.appendix and sources(page.parts["body"]) == ["## One\n\nWhy."]


def test_the_label_of_a_fold_is_what_is_bold_in_front():
    assert arrangement.label("**How it is made.** By *hand*.") == ("How it is made", "By *hand*.")
    assert arrangement.label("By hand.") == ("Method", "By hand.")


def test_the_sentences_of_the_summary_stand_before_its_figures():
    drawn = new_output("display_data", {"image/png": "", "text/plain": "<Figure>"})
    figure = new_code_cell("draw()", outputs=[drawn], metadata={"tags": ["summary"]})
    page = arranged(prose("## 1. One\n\nWhy."), figure, code("won", "summary"))
    assert sources(page.parts["summary"]) == ["print('won')", "draw()"]
