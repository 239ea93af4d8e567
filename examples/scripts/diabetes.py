"""Predicts how diabetes progresses within a year with XGBoost: early stopping on held-out patients, a model file."""

import numpy as np
import xgboost as xgb
from sklearn.datasets import load_diabetes
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

data = load_diabetes(scaled=False)
X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, test_size=0.2, random_state=7)

model = xgb.XGBRegressor(n_estimators=300, max_depth=3, learning_rate=0.05, early_stopping_rounds=20, random_state=7)
model.fit(X_train, y_train, eval_set=[(X_test, y_test)], verbose=50)

print(f"RMSE {root_mean_squared_error(y_test, model.predict(X_test)):.1f} after {model.best_iteration + 1} rounds")
for place in np.argsort(model.feature_importances_)[::-1][:3]:
    print(f"  {data.feature_names[place]:<4} {model.feature_importances_[place]:.2f}")
model.save_model("diabetes.ubj")
