"""The source project's Keras code, measured: run by a python that has TensorFlow, prints one number.

python keras_source.py decode FOLDER SIZE | predict FOLDER SIZE | predict_only SIZE | train SIZE
"""

import sys
import time
from pathlib import Path

import numpy as np
from keras import Sequential, layers, regularizers
from keras.applications import VGG19
from keras.utils import img_to_array, load_img

COUNT = 192
BATCH = 32


def load(folder: str, size: int, count: int) -> np.ndarray:
    """Return pictures as the source loads them: all into one float array ``(N,size,size,3)``."""
    paths = sorted(Path(folder).iterdir())[:count]
    return np.array([img_to_array(load_img(path, target_size=(size, size))) / 255 for path in paths])


def model(size: int) -> Sequential:
    """Return the source's network; speed does not depend on its weights."""
    network = Sequential(
        [
            VGG19(include_top=False, weights=None, input_shape=(size, size, 3)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(25, activation="sigmoid", kernel_regularizer=regularizers.l2(0.005)),
        ]
    )
    network.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return network


def main() -> None:
    what, *rest = sys.argv[1:]
    size = int(rest[-1])
    if what == "decode":
        load(rest[0], size, 32)
        start = time.process_time()
        images = load(rest[0], size, 2 * COUNT)
        print(len(images) / (time.process_time() - start))
        return
    network = model(size)
    if what == "train":
        images = np.random.default_rng(0).random((BATCH, size, size, 3), dtype=np.float32)
        labels = np.random.default_rng(1).integers(0, 2, (BATCH, 25)).astype(np.float32)
        for _ in range(2):
            network.train_on_batch(images, labels)
        times = []
        for _ in range(4):
            start = time.perf_counter()
            network.train_on_batch(images, labels)
            times.append(time.perf_counter() - start)
        print(BATCH / sorted(times)[len(times) // 2])
        return
    network.predict(np.zeros((BATCH, size, size, 3), np.float32), batch_size=BATCH, verbose=0)
    start = time.perf_counter()
    images = load(rest[0], size, COUNT)
    network.predict(images, batch_size=BATCH, verbose=0)
    print(COUNT / (time.perf_counter() - start))


if __name__ == "__main__":
    main()
