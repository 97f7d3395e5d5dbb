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


def torch_pressure(request):
    """The same sum as one vectorised float32 expression of torch on all its threads: pistons, spherical waves."""
    torch = torch_of_the_system()
    single = {"dtype": torch.float32}
    positions = torch.tensor(request["positions"], **single).reshape(-1, 3)
    normals = torch.tensor(request["normals"], **single).reshape(-1, 3)
    phases = torch.tensor(request["phases"], **single)
    points = torch.tensor(request["points"], **single).reshape(-1, 3)
    k = 2 * np.pi * request["frequency"] / request["soundSpeed"]
    ka = k * request["radius"]

    def pressure(batch):
        path = batch[:, None, :] - positions
        distance = path.norm(dim=2)
        cosine = (path * normals).sum(dim=2) / distance
        x = ka * torch.sqrt(torch.clamp(1 - cosine**2, min=1e-8))
        size = request["pressureAt1m"] / distance * 2 * torch.special.bessel_j1(x) / x
        return torch.polar(size, k * distance + phases).sum(dim=1)

    best = None
    for batch in (256, 1024, 4096):
        pressure(points[:batch])
        start, busy = time.perf_counter(), time.process_time()
        found = torch.cat([pressure(part) for part in points.split(batch)])
        seconds, cpu = time.perf_counter() - start, time.process_time() - busy
        if best is None or seconds < best["seconds"]:
            best = {"seconds": seconds, "cpuSeconds": cpu, "re": found.real.tolist(), "im": found.imag.tolist()}
    return {**best, "threads": torch.get_num_threads()}


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


def torch_of_the_system():
    """torch is on PyPI only with CUDA for Linux, so it is the system's: Debian's python3-torch."""
    import types

    sys.path += [path for path in ["/usr/lib/python3/dist-packages"] if path not in sys.path]
    # What AcousTools draws with; nothing is drawn here.
    for name in ("vedo", "matplotlib", "matplotlib.pyplot"):
        sys.modules.setdefault(name, types.ModuleType(name))
        sys.modules[name].__getattr__ = lambda _: object
    import torch

    if not hasattr(torch.optim.lr_scheduler, "LRScheduler"):
        torch.optim.lr_scheduler.LRScheduler = torch.optim.lr_scheduler._LRScheduler
    return torch


def acoustools_phases(request):
    """Phases that AcousTools reads from a file of frames."""
    torch = torch_of_the_system()
    from acoustools.Export.CSV import read_phases_from_file

    read = read_phases_from_file(request["path"], invert=False)
    return {"phases": torch.angle(read).flatten().tolist(), "frames": read.shape[0]}


def acoustools_solve(request):
    """Phases that each of AcousTools' solvers finds on our matrices, one set after the other, and milliseconds a set."""
    torch = torch_of_the_system()
    from acoustools import Solvers

    sets, rows, columns = request["sets"], request["rows"], request["columns"]
    parts = np.fromfile(request["path"]).reshape(sets, 2, rows, columns)
    points = torch.zeros(1, 3, rows)
    answer = {}
    for name in ("naive", "wgs", "gspat", "iterative_backpropagation"):
        solver = getattr(Solvers, name)
        phases, seconds, cpu = [], 0.0, 0.0
        for re, im in parts:
            matrix = torch.tensor(re + 1j * im).to(Solvers.DTYPE).unsqueeze(0)
            start, busy = time.perf_counter(), time.process_time()
            found = solver(points, A=matrix, board=torch.zeros(columns, 3), iterations=request["iterations"])
            seconds += time.perf_counter() - start
            cpu += time.process_time() - busy
            phases.append(torch.angle(found).flatten().tolist())
        answer[name] = {"phases": phases, "milliseconds": 1000 * seconds / sets, "cpuMilliseconds": 1000 * cpu / sets}
    return answer


def kwave_ball(request):
    """k-Wave's NumPy solver on a hill of pressure beside a hard ball: seconds of its steps, and the pressure inside the layer."""
    from types import SimpleNamespace

    kwave_without_binaries()
    from kwave.solvers.kspace_solver import Simulation

    n, step = request["n"], request["step"]
    place = np.indices((n, n, n)) - n / 2

    def square(offset):
        return sum((place[axis] - offset[axis]) ** 2 for axis in range(3))

    ball = square(request["ball"]) < request["size"]
    medium = SimpleNamespace(
        sound_speed=np.where(ball, 1500.0, 900.0),
        density=np.where(ball, 1000.0, 400.0),
    )
    axes = {f"N{a}": n for a in "xyz"} | {f"d{a}": step for a in "xyz"}
    grid = SimpleNamespace(**axes, Nt=request["steps"] + 1, dt=request["timeStep"])
    source = SimpleNamespace(p0=np.exp(-square(request["hill"]) / request["size"]))
    sensor = SimpleNamespace(mask=np.zeros((n, n, n), dtype=bool), record=["p_final"])
    sensor.mask[n // 2, n // 2, n // 2] = True
    layer = (request["layer"],) * 3
    simulation = Simulation(
        grid, medium, source, sensor, smooth_p0=False, pml_size=layer, pml_alpha=(2.0,) * 3, quiet=True
    )
    simulation.setup()
    start, busy = time.perf_counter(), time.process_time()
    found = simulation.run()["p_final"]
    return {
        "seconds": time.perf_counter() - start,
        "cpuSeconds": time.process_time() - busy,
        "pressure": found.ravel().tolist(),
    }


def kwave_without_binaries():
    """Not the package itself: it fetches binaries when it is imported."""
    import types
    from importlib.util import find_spec

    if "kwave" in sys.modules:
        return
    package = types.ModuleType("kwave")
    package.__path__ = list(find_spec("kwave").submodule_search_locations)
    package.__version__ = package.BINARY_PATH = package.PLATFORM = ""
    sys.modules["kwave"] = package


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
    "torch_pressure": torch_pressure,
    "levitate_states": levitate_states,
    "acoustools_phases": acoustools_phases,
    "acoustools_solve": acoustools_solve,
    "kwave_ball": kwave_ball,
    "zarr_read": zarr_read,
}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = answers[request["ask"]](request)
    except Exception as error:  # the bench shows it as this peer's result
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
