from goodviews.hub.files.csv_tables import read_csv, write_csv


def test_a_table_keeps_commas_quotes_and_umlauts_in_their_cells(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["name", "share"], [['Käse, "alt"', 0.5], ["plain", None]])
    assert path.read_bytes().decode() == 'name,share\n"Käse, ""alt""",0.5\nplain,\n'


def test_a_table_is_read_back_by_its_column_names(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["name", "share"], [["a, b", 0.5], ["c", 1]])
    assert read_csv(path) == [{"name": "a, b", "share": "0.5"}, {"name": "c", "share": "1"}]


def test_a_table_that_is_missing_or_broken_off_gives_nothing(tmp_path):
    assert read_csv(tmp_path / "none.csv") is None
    (tmp_path / "short.csv").write_text("name,share\na,0.5\nb\n")
    assert read_csv(tmp_path / "short.csv") is None
    (tmp_path / "long.csv").write_text("name,share\na,0.5,1\n")
    assert read_csv(tmp_path / "long.csv") is None
