"""Backends: devices, the tensors in their memory, and the ops on them."""
from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Type, Union

import numpy as np
import numpy.typing as npt

from condlora import dlpack
from condlora._c import ffi, lib
from condlora._library import Owner, encoded, enter, text
from condlora.errors import ArgumentError, CondloraError, UnsupportedError, check

_DTYPES = {
    "float32": lib.CDL_DTYPE_F32,
    "float64": lib.CDL_DTYPE_F64,
    "bfloat16": lib.CDL_DTYPE_BF16,
    "int32": lib.CDL_DTYPE_I32,
    "uint8": lib.CDL_DTYPE_U8,
}
_NAMES = {number: name for name, number in _DTYPES.items()}
_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2, "int32": 4, "uint8": 1}

Matrix = Union["Tensor", npt.ArrayLike]


def precision_of(name: str) -> Any:
    """The library's number of a precision: "fp32", "tf32", "bf16" or "int8"."""
    found = ffi.new("cdl_precision *")
    check(lib.cdl_precision_find(name.encode(), found))
    return found[0]


class Memory(NamedTuple):
    """Memory in bytes: of this backend's tensors, now and at their highest; free and in all on the device, 0 if unknown."""

    used: int
    peak: int
    free: int
    total: int


class Listing(NamedTuple):
    """A backend that `backends` lists. `reason` says why it cannot be used; it is None for a usable one."""

    name: str
    device: str
    description: str
    reason: Optional[str]
    path: Optional[str]


@ffi.def_extern(name="condlora_backend_listing")  # type: ignore[untyped-decorator]
def _listed(user: Any, one: Any) -> None:
    fields = (one.name, one.device, one.description, one.reason, one.path)
    values = [None if field == ffi.NULL else text(field) for field in fields]
    ffi.from_handle(user).append(Listing(values[0] or "", values[1] or "", values[2] or "", values[3], values[4]))


def backends() -> List[Listing]:
    """Lists every known backend, also those that cannot be used here, with the reason."""
    found: List[Listing] = []
    handle = ffi.new_handle(found)
    enter()
    check(lib.cdl_backend_list(lib.condlora_backend_listing, handle))
    return found


class Tensor:
    """A dense array in the memory of a backend, of up to four dimensions.

    `numpy()` copies it to the host. DLPack shares it without a copy: with NumPy on the CPU, with PyTorch or CuPy on CUDA.
    """

    def __init__(self, backend: "Backend", shape: Sequence[int], dtype: str = "float32"):
        self._prepare(backend, shape, dtype)
        made = ffi.new("cdl_buffer **")
        with backend._lock:
            check(lib.cdl_buffer_create(backend._backend.pointer, self.nbytes, made))
        self._own(made[0], None)

    def _prepare(self, backend: "Backend", shape: Sequence[int], dtype: str) -> None:
        if len(shape) > 4:
            raise ArgumentError(f"a tensor has at most four dimensions, not {len(shape)}")
        if dtype not in _DTYPES:
            raise ArgumentError(f"there is no element type {dtype!r}; there are {', '.join(_DTYPES)}")
        self.backend = backend
        self.shape: Tuple[int, ...] = tuple(int(n) for n in shape)
        self.dtype = dtype

    def _own(self, buffer: Any, foreign: Optional[dlpack.Foreign]) -> None:
        # The memory lives until nothing refers to its owner: neither this object nor what DLPack shares it with.
        self._buffer: Optional[Owner] = Owner("tensor", buffer, lib.cdl_buffer_destroy, (self.backend._backend, foreign))

    def _owner(self) -> Owner:
        if self._buffer is None:
            raise ArgumentError("the tensor is closed")
        return self._buffer

    @classmethod
    def _wrapping(cls, backend: "Backend", foreign: dlpack.Foreign) -> "Tensor":
        """A tensor over the memory of another library, which `foreign` keeps alive."""
        self = cls.__new__(cls)
        self._prepare(backend, foreign.shape, foreign.dtype)
        made = ffi.new("cdl_buffer **")
        with backend._lock:
            check(lib.cdl_buffer_wrap(backend._backend.pointer, ffi.cast("void *", foreign.address), self.nbytes, made))
        self._own(made[0], foreign)
        return self

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * _BYTES[self.dtype]

    def __repr__(self) -> str:
        return f"<condlora.Tensor {list(self.shape)} {self.dtype} on {self.backend.name}>"

    def view(self) -> Any:
        """The tensor as the library's struct cdl_tensor, which does not keep the memory alive."""
        sizes = (1,) * (4 - len(self.shape)) + self.shape
        return lib.cdl_tensor_4d(self._owner().pointer, _DTYPES[self.dtype], 0, *sizes)

    def numpy(self) -> npt.NDArray[Any]:
        """Copies the tensor to the host. bfloat16 becomes float32."""
        if self.dtype == "bfloat16":
            with self.backend.empty(self.shape, "float32") as wide:
                self.backend.run("cast", out=wide, x=self)
                return wide.numpy()
        result = np.empty(self.shape, self.dtype)
        self.backend._transfer(lib.cdl_queue_download, ffi.cast("void *", result.ctypes.data), self.view(), result.nbytes)
        return result

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("a tensor's memory becomes an array only by a copy; numpy.from_dlpack shares it on the CPU")
        result = self.numpy()
        return result if dtype is None else result.astype(dtype, copy=False)

    # ---- DLPack ----

    def _address(self) -> Tuple[int, int, int]:
        """DLPack's kind of device, its number, and the address."""
        address = ffi.new("cdl_memory_address *")
        check(lib.cdl_buffer_address(self._owner().pointer, address))
        kinds = {lib.CDL_MEMORY_HOST: dlpack.CPU, lib.CDL_MEMORY_CUDA: dlpack.CUDA, lib.CDL_MEMORY_OPENCL: dlpack.OPENCL}
        return kinds[address.kind], address.device, int(ffi.cast("uintptr_t", address.memory))

    def __dlpack_device__(self) -> Tuple[int, int]:
        kind, device, _ = self._address()
        return kind, device

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None) -> Any:
        """Shares the memory, which lives as long as either object. All work on it is finished when this returns."""
        kind, device, address = self._address()
        if dl_device is not None and tuple(dl_device) != (kind, device):
            raise BufferError(f"the tensor is on device {(kind, device)}, not {tuple(dl_device)}")
        if copy:
            raise BufferError("the tensor is shared, not copied; numpy() copies it")
        return dlpack.capsule(self._owner(), kind, device, address, self.shape, self.dtype, max_version)

    def close(self) -> None:
        """Frees the memory, unless DLPack shares it: then the last one that has it does."""
        self._buffer = None

    def __enter__(self) -> "Tensor":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class Backend:
    """A device: "auto", "cpu", "opencl", "cuda", "opencl:1", or a path to a plug-in.

    The functions take arrays and tensors. If all matrices are arrays the result is an array; otherwise it is a tensor, which
    stays on the device. Several threads may use one backend; their calls run one after another.
    """

    def __init__(self, name: str = "auto", *, threads: int = 0, precision: str = "fp32", no_fallback: bool = False):
        options = ffi.new("cdl_backend_options *", lib.cdl_backend_options_init())
        options.threads, options.no_fallback, options.precision = threads, no_fallback, precision_of(precision)
        opened = ffi.new("cdl_backend **")
        enter()
        check(lib.cdl_backend_open(encoded(name), options, opened))
        self._lock = threading.RLock()
        self._queue: Optional[Owner] = None
        self._backend = Owner("backend", opened[0], lib.cdl_backend_close)

    @property
    def name(self) -> str:
        """The backend's name, such as "cpu"."""
        return text(lib.cdl_backend_name(self._backend.pointer))

    @property
    def description(self) -> str:
        """One line with device, library, kernel set and threads."""
        return text(lib.cdl_backend_description(self._backend.pointer))

    @property
    def memory(self) -> Memory:
        info = ffi.new("cdl_memory_info *", lib.cdl_memory_info_init())
        check(lib.cdl_backend_memory(self._backend.pointer, info))
        return Memory(info.used_bytes, info.peak_bytes, info.free_bytes, info.total_bytes)

    # ---- Tensors ----

    def empty(self, shape: Sequence[int], dtype: str = "float32") -> Tensor:
        """Makes a tensor with undefined contents: float32, float64, bfloat16, int32 or uint8."""
        return Tensor(self, shape, dtype)

    def tensor(self, values: npt.ArrayLike, dtype: Optional[str] = None) -> Tensor:
        """Copies an array to the device. Without `dtype` its type is kept; other types than the device's become float32."""
        array = np.asarray(values)
        kept = array.dtype.name if array.dtype.name in _DTYPES else "float32"
        wanted = dtype if dtype is not None else kept
        if wanted == "bfloat16":
            with self.tensor(array, "float32") as wide:
                result = self.empty(array.shape, wanted)
                self.run("cast", out=result, x=wide)
                return result
        if wanted not in _DTYPES:
            raise ArgumentError(f"there is no element type {wanted!r}; there are {', '.join(_DTYPES)}")
        dense = np.ascontiguousarray(array, wanted)
        result = self.empty(array.shape, wanted)
        self._transfer(lib.cdl_queue_upload, result.view(), ffi.cast("void *", dense.ctypes.data), dense.nbytes)
        return result

    def from_dlpack(self, other: Any) -> Tensor:
        """Takes an array of another library. Dense memory of this backend's device is shared; host memory for another device is
        copied."""
        foreign = dlpack.Foreign(other)
        try:
            with self.empty((1,)) as probe:
                here = probe.__dlpack_device__()
        except UnsupportedError:
            here = (-1, -1)
        if foreign.device == here and foreign.is_dense and foreign.size > 0 and here[0] != dlpack.OPENCL:
            return Tensor._wrapping(self, foreign)
        if foreign.device[0] == dlpack.CPU:
            return self.tensor(foreign.numpy())
        raise UnsupportedError(f"the array is on device {foreign.device} of DLPack, and {self.name} cannot take it from there")

    # ---- Ops ----

    def run(self, op: str, **arguments: Any) -> None:
        """Runs one op of include/condlora/ops.h: run("softmax", out=t, x=t, scale=1). A member that is a struct is a dict."""
        try:
            function = getattr(lib, "cdl_" + op)
            args = ffi.new(f"cdl_{op}_args *")
        except (AttributeError, ffi.error):
            raise ArgumentError(f"there is no op {op!r}") from None
        args.size = ffi.sizeof(f"cdl_{op}_args")
        for name, value in arguments.items():
            if not hasattr(args, name):
                raise ArgumentError(f"op {op} has no argument {name!r}")
            setattr(args, name, value.view() if isinstance(value, Tensor) else value)
        with self._lock:
            queue = self._working_queue()
            function(queue, args)
            self._finish(queue)

    def _transfer(self, function: Any, *arguments: Any) -> None:
        with self._lock:
            queue = self._working_queue()
            function(queue, *arguments)
            self._finish(queue)

    def _working_queue(self) -> Any:
        if self._queue is None:
            made, backend = ffi.new("cdl_queue **"), self._backend.pointer
            if self.name == "cuda":  # on the legacy stream, 1, where work is in order with that of other libraries
                check(lib.cdl_queue_wrap(backend, ffi.cast("void *", 1), made))
            else:
                check(lib.cdl_queue_create(backend, made))
            self._queue = Owner("queue", made[0], lib.cdl_queue_destroy, self._backend)
        return self._queue.pointer

    def _finish(self, queue: Any) -> None:
        """A queue that has failed stays failed, so the next call gets a new one."""
        try:
            check(lib.cdl_queue_sync(queue))
        except CondloraError:
            if self._queue is not None:
                self._queue.close()
            self._queue = None
            raise

    def _inputs(self, *values: Matrix) -> Tuple[List[Tensor], bool]:
        """The matrices as tensors of one type, and whether all were arrays."""
        arrays = [None if isinstance(value, Tensor) else np.asarray(value) for value in values]
        given = [value.dtype for value in values if isinstance(value, Tensor)]
        dtype = given[0] if given else "float64" if all(a is not None and a.dtype == np.float64 for a in arrays) else "float32"
        tensors = []
        for value, array in zip(values, arrays):
            if isinstance(value, Tensor):
                if value.backend is not self:
                    raise ArgumentError("a tensor of another backend was given")
                tensors.append(value)
            else:
                assert array is not None
                tensors.append(self.tensor(array, dtype))
        return tensors, not given

    def _outputs(self, as_arrays: bool, *results: Tensor) -> Any:
        answers = tuple(result.numpy() if as_arrays else result for result in results)
        return answers if len(answers) > 1 else answers[0]

    def gemm(
        self, a: Matrix, b: Matrix, *, transpose_a: bool = False, transpose_b: bool = False, alpha: float = 1.0
    ) -> Any:
        """alpha · op(a) op(b), for matrices or batches of them; both have the same leading dimensions."""
        (x, y), as_arrays = self._inputs(a, b)
        if min(len(x.shape), len(y.shape)) < 2 or x.shape[:-2] != y.shape[:-2]:
            raise ArgumentError(f"gemm: expected matrices with equal leading dimensions, not {x.shape} and {y.shape}")
        rows, columns = x.shape[-1 if transpose_a else -2], y.shape[-2 if transpose_b else -1]
        out = self.empty((*x.shape[:-2], rows, columns), x.dtype if x.dtype != "bfloat16" else "float32")
        self.run("gemm", out=out, a=x, b=y, transpose_a=transpose_a, transpose_b=transpose_b, alpha=alpha)
        return self._outputs(as_arrays, out)

    def _matrix(self, op: str, a: Matrix) -> Tuple[Tensor, bool]:
        (x,), as_arrays = self._inputs(a)
        if len(x.shape) != 2:
            raise ArgumentError(f"{op}: expected a matrix, not {len(x.shape)} dimensions")
        return x, as_arrays

    def svd(self, a: Matrix) -> Any:
        """u [m, k], sigma [k] in descending order, vt [k, n] with a = u diag(sigma) vt and k = min(m, n)."""
        x, as_arrays = self._matrix("svd", a)
        m, n = x.shape
        k = min(m, n)
        u, sigma, vt = self.empty((m, k), x.dtype), self.empty((k,), x.dtype), self.empty((k, n), x.dtype)
        self.run("svd", u=u, sigma=sigma, vt=vt, a=x)
        return self._outputs(as_arrays, u, sigma, vt)

    def qr(self, a: Matrix) -> Any:
        """q [m, k], r [k, n] upper triangular, with a = q r and k = min(m, n)."""
        x, as_arrays = self._matrix("qr", a)
        m, n = x.shape
        q, r = self.empty((m, min(m, n)), x.dtype), self.empty((min(m, n), n), x.dtype)
        self.run("qr", q=q, r=r, a=x)
        return self._outputs(as_arrays, q, r)

    def eigh(self, a: Matrix) -> Any:
        """values [n] in ascending order, vectors [n, n] of a symmetric matrix, of which the lower triangle is read."""
        x, as_arrays = self._matrix("eigh", a)
        values, vectors = self.empty(x.shape[:1], x.dtype), self.empty(x.shape, x.dtype)
        self.run("eigh", values=values, vectors=vectors, a=x)
        return self._outputs(as_arrays, values, vectors)

    def solve(self, a: Matrix, b: Matrix) -> Any:
        """x with a x = b, for matrices a [n, n] and b [n, k]. A singular `a` is a NumericError."""
        (x, y), as_arrays = self._inputs(a, b)
        out = self.empty(y.shape, y.dtype)
        self.run("lu_solve", x=out, a=x, b=y)
        return self._outputs(as_arrays, out)

    def inverse(self, a: Matrix) -> Any:
        """The inverse of a matrix [n, n]."""
        x, as_arrays = self._matrix("inverse", a)
        out = self.empty(x.shape, x.dtype)
        self.run("lu_inverse", out=out, a=x)
        return self._outputs(as_arrays, out)

    def close(self) -> None:
        """Closes the backend. Its tensors must have been closed before."""
        with self._lock:
            if self._queue is not None:
                self._queue.close()
                self._queue = None
            if not self._backend.is_closed:
                check(lib.cdl_backend_close(self._backend.pointer))
                self._backend.forget()

    def __enter__(self) -> "Backend":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
