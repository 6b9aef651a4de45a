import threading

import pyarrow as pa

from include.stores.objects.memory import MemoryObjects

ROWS = pa.table({"hour": [1, 2]})


def test_of_many_threads_one_creates_an_object() -> None:
    objects, made = MemoryObjects(), []
    barrier = threading.Barrier(8)

    def create(name: bytes) -> None:
        barrier.wait()
        made.append(objects.create("a", name))

    threads = [threading.Thread(target=create, args=(bytes([number]),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count(True) == 1
