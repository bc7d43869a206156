from kajitori.kit.text_cache import text_cache


def test_short_texts_are_worked_on_once_and_long_ones_each_time() -> None:
    asked: list[str] = []

    @text_cache(entries_max=2, length_max=3)
    def upper(text: str) -> str:
        asked.append(text)
        return text.upper()

    assert [upper(text) for text in ("abc", "abc", "abcd", "abcd")] == ["ABC", "ABC", "ABCD", "ABCD"]
    assert asked == ["abc", "abcd", "abcd"]


def test_the_text_used_longest_ago_is_forgotten() -> None:
    asked: list[str] = []

    @text_cache(entries_max=2, length_max=3)
    def same(text: str) -> str:
        asked.append(text)
        return text

    for text in ("a", "b", "c", "a"):
        same(text)
    assert asked == ["a", "b", "c", "a"]
