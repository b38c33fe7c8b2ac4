"""Backends, tensors and ops against NumPy; memory that DLPack shares."""
import gc
import unittest

import condlora
import numpy as np

RANDOM = np.random.default_rng(1)


def backends():
    usable = [one.name for one in condlora.backends() if one.reason is None]
    assert "cpu" in usable
    return usable


class Ops(unittest.TestCase):
    def test_products_and_factors_on_each_backend(self):
        a, b = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(3, 4))
        square = RANDOM.normal(size=(4, 4)) + 4 * np.eye(4)
        for name in backends():
            with self.subTest(name), condlora.Backend(name) as backend:
                for dtype, bound in (("float32", 2e-5), ("float64", 1e-12)):
                    if dtype == "float64" and name != "cpu":
                        continue
                    x, y, z = (m.astype(dtype) for m in (a, b, square))
                    product = backend.gemm(x, y)
                    self.assertEqual(product.dtype, dtype)
                    np.testing.assert_allclose(product, a @ b, atol=bound)
                    np.testing.assert_allclose(backend.gemm(y, x, transpose_a=True, transpose_b=True, alpha=2), 2 * b.T @ a.T, atol=bound)
                    u, sigma, vt = backend.svd(x)
                    np.testing.assert_allclose(sigma, np.linalg.svd(a)[1], atol=bound)
                    np.testing.assert_allclose(u @ np.diag(sigma) @ vt, a, atol=bound)
                    q, r = backend.qr(x)
                    np.testing.assert_allclose(q @ r, a, atol=bound)
                    values, vectors = backend.eigh(z + z.T)
                    np.testing.assert_allclose(values, np.linalg.eigvalsh(square + square.T), atol=10 * bound)
                    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, square + square.T, atol=10 * bound)
                    np.testing.assert_allclose(backend.solve(z, z @ z), square, atol=10 * bound)
                    np.testing.assert_allclose(backend.inverse(z), np.linalg.inv(square), atol=bound)

    def test_batches_and_lists(self):
        with condlora.Backend("cpu") as backend:
            a, b = RANDOM.normal(size=(2, 3, 4, 5)).astype("f4"), RANDOM.normal(size=(2, 3, 5, 6)).astype("f4")
            np.testing.assert_allclose(backend.gemm(a, b), a @ b, atol=1e-5)
            np.testing.assert_array_equal(backend.gemm([[1, 2]], [[3], [4]]), [[11]])
            with self.assertRaisesRegex(condlora.ArgumentError, "equal leading dimensions"):
                backend.gemm(a, b[0])
            with self.assertRaisesRegex(condlora.CondloraError, "gemm"):
                backend.gemm(a, a)

    def test_any_op_by_name(self):
        with condlora.Backend("cpu") as backend:
            x = RANDOM.normal(size=(3, 7)).astype("f4")
            t = backend.tensor(x)
            backend.run("softmax", out=t, x=t, scale=1.0)
            e = np.exp(x - x.max(axis=1, keepdims=True))
            np.testing.assert_allclose(t.numpy(), e / e.sum(axis=1, keepdims=True), rtol=1e-5)
            self.assertAlmostEqual(float(np.asarray(t).sum()), 3, places=5)
            for words, call in (("no op 'sofmax'", lambda: backend.run("sofmax")), ("no argument 'y'", lambda: backend.run("softmax", y=t))):
                with self.assertRaisesRegex(condlora.ArgumentError, words):
                    call()
            t.close()

    def test_a_failure_does_not_spoil_the_backend(self):
        with condlora.Backend("cpu") as backend:
            with self.assertRaisesRegex(condlora.NumericError, "singular"):
                backend.solve(np.zeros((2, 2)), np.ones((2, 1)))
            np.testing.assert_array_equal(backend.gemm(np.eye(2), np.eye(2)), np.eye(2))


class Tensors(unittest.TestCase):
    def setUp(self):
        self.backend = condlora.Backend("cpu")

    def tearDown(self):
        gc.collect()
        self.backend.close()

    def test_types_and_shapes_come_back(self):
        for dtype in ("float32", "float64", "int32", "uint8"):
            for shape in ((), (3,), (2, 3), (1, 2, 3, 4), (0, 4)):
                values = RANDOM.integers(0, 100, size=shape).astype(dtype)
                t = self.backend.tensor(values)
                self.assertEqual((t.shape, t.dtype, t.nbytes), (shape, dtype, values.nbytes))
                np.testing.assert_array_equal(t.numpy(), values)
        values = np.array([1, 1 + 2**-8, 3.14159], "f4")
        rounded = self.backend.tensor(values, "bfloat16")
        np.testing.assert_array_equal(rounded.numpy(), np.array([1, 1, 3.140625], "f4"))
        with self.assertRaisesRegex(condlora.ArgumentError, "four dimensions"):
            self.backend.empty((1,) * 5)
        with self.assertRaisesRegex(condlora.ArgumentError, "no element type 'int64'"):
            self.backend.tensor([1], "int64")

    def test_closing_counts_what_is_alive(self):
        with condlora.Backend("cpu") as other:
            t = other.tensor([1.0])
            with self.assertRaisesRegex(condlora.ArgumentError, "1 buffers"):
                other.close()
            with self.assertRaisesRegex(condlora.ArgumentError, "another backend"):
                self.backend.gemm(t, t)
            t.close()
            with self.assertRaisesRegex(condlora.ArgumentError, "the tensor is closed"):
                t.numpy()
        with self.assertRaisesRegex(condlora.ArgumentError, "the backend is closed"):
            other.tensor([1.0])

    def test_memory_is_counted(self):
        t = self.backend.empty((1000,))
        self.assertGreaterEqual(self.backend.memory.used, 4000)
        self.assertGreater(self.backend.memory.total, 4000)
        t.close()

    def test_numpy_shares_a_tensor(self):
        t = self.backend.tensor(np.arange(6, dtype="f4").reshape(2, 3))
        view = np.from_dlpack(t)
        view.flags.writeable and view.__setitem__((0, 0), 7)
        address = view.ctypes.data
        self.backend.run("fill", out=t, value=3)
        np.testing.assert_array_equal(view, np.full((2, 3), 3))
        used = self.backend.memory.used
        t.close()
        del t
        gc.collect()
        self.assertEqual(self.backend.memory.used, used)  # the array has it still
        self.assertEqual((view[1, 2], view.ctypes.data), (3, address))
        del view
        gc.collect()
        self.assertEqual(self.backend.memory.used, 0)

    def test_a_tensor_shares_an_array(self):
        values = np.zeros((2, 3), "f4")
        t = self.backend.from_dlpack(values)
        self.backend.run("fill", out=t, value=2)
        np.testing.assert_array_equal(values, np.full((2, 3), 2))
        for copied in (np.zeros((3, 2), "f4").T, np.zeros((2, 3), ">f4").astype("f4")[:, ::2]):
            other = self.backend.from_dlpack(copied)
            self.backend.run("fill", out=other, value=2)
            self.assertEqual(copied.sum(), 0)
        frozen = np.zeros(2, "f4")
        frozen.flags.writeable = False
        self.assertEqual(self.backend.from_dlpack(frozen).shape, (2,))

    def test_a_round_trip_is_the_same_memory(self):
        t = self.backend.tensor(np.arange(4, dtype="f8"))
        again = self.backend.from_dlpack(t)
        self.assertEqual(again.__dlpack_device__(), (1, 0))
        self.backend.run("fill", out=again, value=9)
        np.testing.assert_array_equal(t.numpy(), [9, 9, 9, 9])
        again.close()
        self.backend.run("fill", out=t, value=1)

    def test_memory_of_other_devices(self):
        for name, kind in (("cuda", 2), ("opencl", 4)):
            if name not in backends():
                continue
            with self.subTest(name), condlora.Backend(name) as backend:
                t = backend.tensor(np.arange(6, dtype="f4").reshape(2, 3))
                self.assertEqual(t.__dlpack_device__(), (kind, 0))
                copied = backend.from_dlpack(np.ones((2, 3), "f4"))
                np.testing.assert_array_equal(copied.numpy(), np.ones((2, 3)))
                with self.assertRaisesRegex(condlora.UnsupportedError, r"\({}, 0\) of DLPack".format(kind)):
                    self.backend.from_dlpack(t)
                if name == "cuda":
                    shared = backend.from_dlpack(t)
                    backend.run("fill", out=shared, value=5)
                    np.testing.assert_array_equal(t.numpy(), np.full((2, 3), 5))
                    t.close()
                    np.testing.assert_array_equal(shared.numpy(), np.full((2, 3), 5))
                    shared.close()
                t.close()
                copied.close()
                gc.collect()

    def test_what_cannot_be_shared(self):
        t = self.backend.tensor([1.0])
        with self.assertRaises(BufferError):
            t.__dlpack__(dl_device=(2, 0))
        with self.assertRaises(BufferError):
            t.__dlpack__(copy=True)


if __name__ == "__main__":
    unittest.main()
