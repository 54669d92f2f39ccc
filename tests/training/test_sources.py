"""Sources: rows in memory and streamed ones, in their order."""

import numpy as np

from training.examples import make_blobs_trainer


def test_validation_fraction_is_held_out_and_stratified(blobs):
    trainer = make_blobs_trainer()
    history = trainer.fit(*blobs, epochs=2, validation_fraction=0.25, verbose=0)
    assert trainer.n_rows == 300
    assert history.epochs[0].val_cost is not None
    again = make_blobs_trainer()
    again.fit(*blobs, epochs=2, validation_fraction=0.25, verbose=0)
    assert np.array_equal(trainer.net.params, again.net.params)
