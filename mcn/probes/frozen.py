"""Logistic regression on one row a video, by scikit-learn."""

import numpy as np
from jaxtyping import Float

from mcn.probes.settings import ProbeSettings
from mcn.probes.sides import Videos

MOST_ITERATIONS = 2000


def classify_frozen(
    train: Videos,
    train_rows: Float[np.ndarray, "videos dim"],
    test_rows: Float[np.ndarray, "test_videos dim"],
    settings: ProbeSettings,
) -> tuple[Float[np.ndarray, "test_videos classes"], dict[str, float]]:
    """Probability of each class, and the C that was chosen.

    Rows are standardised by those that are trained on, in each fold by its own. C is what is right
    most often over the folds, and of equals the least.
    """
    # Here, since it takes seconds, which those who only read results need not wait.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_ITERATIONS))
    name = "logisticregression__C"
    search = GridSearchCV(
        pipeline,
        {name: settings.tried},
        cv=train.folds(settings.folds, settings.seed),
        error_score="raise",
    )
    # In single precision learning takes a fraction of the time, and ends at the same classes.
    search.fit(train_rows.astype(np.float32), train.labels, groups=train.groups)
    return search.predict_proba(test_rows), {"C": float(search.best_params_[name])}
