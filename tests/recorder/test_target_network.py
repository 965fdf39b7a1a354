"""A target network, as of a deep Q-learner, takes over the weights that are trained, and has none of its own."""

from torch import nn

from dnndoctor.recorder.roots import Known


def test_a_copy_that_is_loaded_time_and_again_follows_what_is_trained() -> None:
    known, trained, target = Known(), nn.Linear(2, 2), nn.Linear(2, 2)
    known.note_loaded(target)
    known.begin_training()
    known.note_loaded(target)
    assert not known.has_target_network([trained])
    known.note_loaded(target)
    assert known.has_target_network([trained])


def test_weights_put_back_into_the_model_itself_make_none() -> None:
    known, trained = Known(), nn.Sequential(nn.Linear(2, 2))
    known.begin_training()
    for _ in range(3):
        known.note_loaded(trained)
        known.note_loaded(trained[0])
    assert not known.has_target_network([trained])
