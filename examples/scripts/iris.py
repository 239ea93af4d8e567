"""Names irises with a small torch network on the CPU: a module, a loader, a loop over epochs, a file of weights."""

import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
iris = load_iris()
X_train, X_test, y_train, y_test = train_test_split(iris.data, iris.target, stratify=iris.target, random_state=0)
X_train, X_test = torch.tensor(X_train, dtype=torch.float32), torch.tensor(X_test, dtype=torch.float32)
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)


class Net(nn.Module):
    """Two layers."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        """Make the layers."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, classes))

    def forward(self, x):
        """Return the logits."""
        return self.layers(x)


model = Net(4, 32, 3)
loader = DataLoader(TensorDataset(X_train, y_train), batch_size=16, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()

for epoch in range(1, 41):
    model.train()
    for rows, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(rows), labels)
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        model.eval()
        with torch.no_grad():
            right = (model(X_test).argmax(1) == y_test).float().mean().item()
        print(f"epoch {epoch:3}  loss {loss.item():.3f}  accuracy {right:.3f}")

torch.save(model.state_dict(), "iris.pt")
