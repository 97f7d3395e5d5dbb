"""What the field engine is compared with. Reads one JSON request a line, writes one JSON answer a line."""

import json
import sys
import time

import numpy as np


def transducers(request):
    """The request's array in levitate's terms: positions and normals in columns, pistons of its radius."""
    import levitate

    medium = levitate.materials.air
    medium.c, medium.rho = request["soundSpeed"], request["density"]
    piston = levitate.transducers.CircularPiston(
        effective_radius=request["radius"], freq=request["frequency"], p0=request["pressureAt1m"], medium=medium
    )
    positions = np.array(request["positions"]).reshape(-1, 3).T
    normals = np.array(request["normals"]).reshape(-1, 3).T
    return levitate.arrays.TransducerArray(positions, normals, transducer=piston, medium=medium)


def levitate_pressure(request):
    """Points per second of levitate's pressure field, and its pressures at the points."""
    import levitate

    array = transducers(request)
    points = np.array(request["points"]).reshape(-1, 3).T
    drive = np.exp(1j * np.array(request["phases"]))
    start, busy = time.perf_counter(), time.process_time()
    pressure = (levitate.fields.Pressure(array) @ points)(drive)
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    return {"seconds": seconds, "cpuSeconds": cpu, "re": pressure.real.tolist(), "im": pressure.imag.tolist()}


def levitate_gorkov(request):
    """Gor'kov potential, its gradient and its second derivatives of levitate at the points, xyz fastest."""
    import levitate

    array = transducers(request)
    points = np.array(request["points"]).reshape(-1, 3).T
    drive = np.exp(1j * np.array(request["phases"]))
    particle = request["particle"]
    bead = levitate.materials.Material(c=particle["soundSpeed"], rho=particle["density"])
    options = {"radius": particle["radius"], "material": bead}
    fields = levitate.fields
    return {
        "potential": (fields.GorkovPotential(array, **options) @ points)(drive).tolist(),
        "gradient": (fields.GorkovGradient(array, **options) @ points)(drive).T.ravel().tolist(),
        "stiffness": (fields.GorkovLaplacian(array, **options) @ points)(drive).T.ravel().tolist(),
    }


def levitate_states(request):
    """States that levitate reads from a file for boards."""
    from levitate.hardware import data_from_cpp

    states = data_from_cpp(request["path"], request["transducers"])
    return {"re": states.real.ravel().tolist(), "im": states.imag.ravel().tolist(), "frames": states.shape[0]}


def zarr_read(request):
    """A result as zarr-python and xarray read it."""
    import xarray
    import zarr

    group = zarr.open_group(request["folder"], mode="r")
    pressure = group["pressure"][:]
    dataset = xarray.open_zarr(request["folder"], consolidated=False)
    largest = np.unravel_index(np.argmax(np.abs(pressure)), pressure.shape)
    return {
        "shape": list(pressure.shape),
        "dtype": str(pressure.dtype),
        "largest": float(np.abs(pressure).max()),
        "at": [float(dataset["pressure"].coords[axis][i]) for axis, i in zip("zyx", largest)],
        "dims": list(dataset["pressure"].dims),
        "corner": [float(pressure[0, 0, 0].real), float(pressure[0, 0, 0].imag)],
        "arrays": sorted(dataset.data_vars),
    }


answers = {
    "levitate_pressure": levitate_pressure,
    "levitate_gorkov": levitate_gorkov,
    "levitate_states": levitate_states,
    "zarr_read": zarr_read,
}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = answers[request["ask"]](request)
    except Exception as error:  # the bench shows it as this peer's result
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
