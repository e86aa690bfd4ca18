"""Train the digits classifier: writes checkpoint.pt, digits.npz (held-out data) and model.py into a directory.

digits.csv.gz is the data set that scikit-learn ships (Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, CC BY 4.0):
1,797 rows of 64 pixels from 0 to 16 and the digit.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from model import build
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
directory = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
directory.mkdir(parents=True, exist_ok=True)
digits = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), delimiter=",", dtype=np.float32)
pixels, labels = digits[:, :64], digits[:, 64].astype(np.int64)
order = np.random.default_rng(0).permutation(len(labels))
train, held_out = order[:1297], order[1297:]
x, y = torch.from_numpy(pixels[train]), torch.from_numpy(labels[train])
model = build()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(100):
    for batch in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
torch.save(model.state_dict(), directory / "checkpoint.pt")
np.savez(directory / "digits.npz", x=pixels[held_out], y=labels[held_out])
if not (directory / "model.py").exists():
    shutil.copy(Path(__file__).with_name("model.py"), directory)
print(f"{directory}: checkpoint.pt, digits.npz ({len(held_out)} held-out images), model.py")
