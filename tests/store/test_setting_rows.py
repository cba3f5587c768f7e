from core.store.rows import setting_rows
from core.store.store import Store


def test_a_home_remembers_the_last_text_of_a_name_beyond_a_restart(store: Store) -> None:
    assert setting_rows.read(store, "tour") == ""
    setting_rows.write(store, "tour", "begun")
    setting_rows.write(store, "tour", "seen")
    setting_rows.write(store, "other", "x")
    again = Store(store.home)
    assert (setting_rows.read(again, "tour"), setting_rows.read(again, "other")) == ("seen", "x")
