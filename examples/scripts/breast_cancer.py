"""Tells malignant from benign tumours with scikit-learn: a pipeline, a grid search, a report, a file."""

import argparse

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--folds", type=int, default=3)
parser.add_argument("--out", default="breast_cancer.joblib")
args = parser.parse_args()

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=42)

pipeline = Pipeline([("scale", StandardScaler()), ("classify", LogisticRegression(max_iter=1000))])
search = GridSearchCV(pipeline, {"classify__C": [0.1, 1.0, 10.0]}, cv=args.folds)
search.fit(X_train, y_train)

print("best parameters:", search.best_params_)
print(classification_report(y_test, search.predict(X_test), target_names=["malignant", "benign"]))
joblib.dump(search.best_estimator_, args.out)
