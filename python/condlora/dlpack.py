"""Arrays shared with other libraries: DLPack's capsules (https://dmlc.github.io/dlpack).

NumPy makes and reads the capsules of host memory. For other memory, and for bfloat16, which NumPy does not have, the struct is
made and read here, in its form of DLPack 0.x, which all consumers know.
"""
from __future__ import annotations

import ctypes
from typing import Any, Dict, Sequence, Tuple

import numpy as np
import numpy.typing as npt

CPU, CUDA, OPENCL = 1, 2, 4  # DLDeviceType

_FLOAT, _INT, _UINT, _BFLOAT = 2, 0, 1, 4  # DLDataTypeCode
_TYPES = {"float32": (_FLOAT, 32), "float64": (_FLOAT, 64), "bfloat16": (_BFLOAT, 16), "int32": (_INT, 32), "uint8": (_UINT, 8)}
_NAMES = {code: name for name, code in _TYPES.items()}


class _DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _DLManagedTensor(ctypes.Structure):
    _fields_ = [("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]


_api = ctypes.pythonapi
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(("PyCapsule_New", _api))
_get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
# A capsule that is being destroyed is no object any more.
_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_NAME = b"dltensor"  # a consumer renames the capsule, and calls the deleter itself

_shared: Dict[int, Any] = {}  # what consumers hold, by the address of its struct


@_Deleter  # type: ignore[untyped-decorator]
def _delete(address: int) -> None:
    _shared.pop(address, None)


@_Destructor  # type: ignore[untyped-decorator]
def _destroy(capsule: int) -> None:
    if _valid(capsule, _NAME):
        _shared.pop(_pointer(capsule, _NAME), None)


class _HostMemory:
    """Host memory as NumPy takes it; the array keeps this object, and so the owner."""

    def __init__(self, owner: object, address: int, shape: Sequence[int], dtype: str):
        self.owner = owner
        self.__array_interface__ = {
            "data": (address, False),
            "shape": tuple(shape),
            "typestr": np.dtype(dtype).str,
            "version": 3,
        }


def capsule(
    owner: object, kind: int, device: int, address: int, shape: Sequence[int], dtype: str, max_version: Any = None
) -> Any:
    """Makes a capsule over dense memory, which keeps `owner` alive. `max_version` is the newest form that the consumer reads."""
    if kind == CPU and dtype != "bfloat16":
        array: Any = np.asarray(_HostMemory(owner, address, shape, dtype))
        known = max_version is not None and np.lib.NumpyVersion(np.__version__) >= "2.1.0"
        return array.__dlpack__(max_version=max_version) if known else array.__dlpack__()
    managed = _DLManagedTensor()
    sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    tensor = managed.tensor
    tensor.data, tensor.device_type, tensor.device_id = address, kind, device
    tensor.ndim, tensor.shape, tensor.strides, tensor.byte_offset = len(shape), sizes, None, 0
    tensor.code, tensor.bits, tensor.lanes = *_TYPES[dtype], 1
    managed.deleter = _delete
    place = ctypes.addressof(managed)
    _shared[place] = (managed, sizes, owner)
    return _new(place, _NAME, ctypes.cast(_destroy, ctypes.c_void_p))


class Foreign:
    """An array of another library, which this object keeps alive."""

    def __init__(self, other: Any):
        self._other = other
        self.device: Tuple[int, int] = tuple(other.__dlpack_device__())
        if isinstance(other, np.ndarray):
            self.shape: Tuple[int, ...] = other.shape
            self.dtype = other.dtype.name
            self.address = int(other.ctypes.data)
            # Memory that must not be written to is copied.
            self.is_dense = bool(other.flags.c_contiguous and other.flags.writeable and other.dtype.isnative) and self.dtype in _TYPES
        else:
            # The producer's work comes before what follows on CUDA's legacy stream, on which the backend works.
            self._capsule = other.__dlpack__(stream=1) if self.device[0] == CUDA else other.__dlpack__()
            self._read(ctypes.cast(_get(self._capsule, _NAME), ctypes.POINTER(_DLManagedTensor)).contents.tensor)

    def _read(self, tensor: _DLTensor) -> None:
        self.shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
        self.dtype = _NAMES.get((tensor.code, tensor.bits), f"type {tensor.code} of {tensor.bits} bits")
        self.address = (tensor.data or 0) + tensor.byte_offset
        dense, expected = True, 1
        for i in range(tensor.ndim - 1, -1, -1):
            dense = dense and (not tensor.strides or self.shape[i] == 1 or tensor.strides[i] == expected)
            expected *= self.shape[i]
        self.is_dense = dense and tensor.lanes == 1 and self.dtype in _TYPES

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def numpy(self) -> npt.NDArray[Any]:
        """Host memory as an array, without a copy."""
        return self._other if isinstance(self._other, np.ndarray) else np.from_dlpack(self._other)
