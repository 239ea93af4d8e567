"""PyTorch, which runs in `.venv-torch` alone: lightning's epochs log themselves, models are kept, plain loops log."""

from __future__ import annotations

# All of them first: MLflow's hooks wait for an import.
import lightning
import mlflow
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = np.random.default_rng(7).normal(size=(80, 3)).astype("float32")
LABELS = (ROWS[:, 0] > 0).astype("float32")
EPOCHS = 3


class Line(lightning.LightningModule):
    """A straight line, and what lightning wants of it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, rows):
        return self.layer(rows)

    def training_step(self, batch):
        rows, labels = batch
        loss = torch.nn.functional.mse_loss(self(rows).squeeze(1), labels)
        self.log("loss", loss, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def test_lightning_logs_every_epoch_by_itself(client, experiment):
    data = torch.utils.data.TensorDataset(torch.from_numpy(ROWS), torch.from_numpy(LABELS))
    # Its model would be logged too, after another process has imported all of torch once more to see what it needs.
    mlflow.pytorch.autolog(log_models=False)
    trainer = lightning.Trainer(max_epochs=EPOCHS, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.fit(Line(), torch.utils.data.DataLoader(data, batch_size=16))
    mlflow.pytorch.autolog(disable=True)

    (found,) = client.search_runs([experiment])
    history = client.get_metric_history(found.info.run_id, "loss_epoch")
    assert found.info.status == "FINISHED"
    assert (found.data.params["lr"], found.data.params["optimizer_name"]) == ("0.01", "SGD")
    assert [one.step for one in sorted(history, key=lambda one: one.step)] == list(range(EPOCHS))


def test_a_model_is_logged_registered_loaded_by_alias_and_answers(client, experiment, unique):
    net = Line().eval()
    name = unique("net")
    with mlflow.start_run():
        mlflow.pytorch.log_model(
            net, name="net", input_example=ROWS[:4], registered_model_name=name, pip_requirements=["torch"]
        )
    client.set_registered_model_alias(name, "champion", "1")

    with torch.no_grad():
        wanted = net(torch.from_numpy(ROWS[:4])).numpy()
    assert np.allclose(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(ROWS[:4]), wanted)
    loaded = mlflow.pytorch.load_model(f"models:/{name}@champion")
    assert torch.equal(loaded.layer.weight, net.layer.weight)


def test_a_plain_loop_logs_what_it_is_told_to(client, experiment):
    net, rows, labels = torch.nn.Linear(3, 1), torch.from_numpy(ROWS), torch.from_numpy(LABELS)
    steps = torch.optim.SGD(net.parameters(), lr=0.1)
    with mlflow.start_run() as active:
        for epoch in range(EPOCHS):
            steps.zero_grad()
            loss = torch.nn.functional.mse_loss(net(rows).squeeze(1), labels)
            loss.backward()
            steps.step()
            mlflow.log_metric("loss", loss, step=epoch)

    history = [one.value for one in client.get_metric_history(active.info.run_id, "loss")]
    assert len(history) == EPOCHS
    assert history == sorted(history, reverse=True)
    assert client.get_run(active.info.run_id).data.metrics["loss"] == history[-1]
