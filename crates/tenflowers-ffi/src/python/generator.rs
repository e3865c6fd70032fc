//! Generators of random numbers.
use super::convert::OrRaise;
use super::dtype::{PyDevice, read_device};
use super::tensor::{PyTensor, wrap};
use pyo3::prelude::*;
use tenflowers_core::rng::default_generator;
use tenflowers_core::{Device, Generator, Tensor, TensorError};

/// A source of random numbers with a state of its own.
#[pyclass(name = "Generator", module = "tenflowers._core", frozen, weakref)]
pub struct PyGenerator(pub Generator);

/// A seed of any sign, as 64 bits.
fn seed_bits(seed: &Bound<'_, PyAny>) -> PyResult<u64> {
    let seed = seed.extract::<i128>()?;
    if !(-(1i128 << 63)..1i128 << 64).contains(&seed) {
        return Err(TensorError::argument("manual_seed", format!("a seed has 64 bits: {seed}"))).or_raise();
    }
    Ok(seed as u64)
}

#[pymethods]
impl PyGenerator {
    #[new]
    #[pyo3(signature = (device = None))]
    fn new(device: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        device.map(read_device).transpose()?;
        Ok(PyGenerator(Generator::default()))
    }
    #[getter]
    fn device(&self) -> PyDevice {
        PyDevice(Device::Cpu)
    }
    /// Starts again from a seed.
    fn manual_seed<'py>(slf: Bound<'py, Self>, seed: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        slf.get().0.manual_seed(seed_bits(seed)?);
        Ok(slf)
    }
    /// The seed that it started from.
    fn initial_seed(&self) -> u64 {
        self.0.initial_seed()
    }
    /// Starts again from a seed that nobody knows, and gives it.
    fn seed(&self, py: Python<'_>) -> PyResult<u64> {
        let seed = py.import("secrets")?.call_method1("randbits", (63,))?.extract()?;
        self.0.manual_seed(seed);
        Ok(seed)
    }
    /// The state, as a tensor of bytes.
    fn get_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bytes: Vec<u8> = self.0.state().iter().flat_map(|w| w.to_le_bytes()).collect();
        let t = Tensor::<u8>::from_vec(bytes, &[16]).or_raise()?;
        wrap(py, t.erase().clone())
    }
    /// Goes on from a state that `get_state` gave.
    fn set_state<'py>(slf: Bound<'py, Self>, new_state: &Bound<'py, PyTensor>) -> PyResult<Bound<'py, Self>> {
        let t = PyTensor::of(new_state).typed::<u8>().or_raise()?;
        let bytes = t.to_vec().or_raise()?;
        let words: Option<([u8; 8], [u8; 8])> =
            bytes.split_at_checked(8).and_then(|(a, b)| Some((a.try_into().ok()?, b.try_into().ok()?)));
        let Some((seed, offset)) = words else {
            let what = format!("a state has 16 bytes, not {}", bytes.len());
            return Err(TensorError::argument("set_state", what)).or_raise();
        };
        slf.get().0.set_state([u64::from_le_bytes(seed), u64::from_le_bytes(offset)]);
        Ok(slf)
    }
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (u64, u64))> {
        let [seed, offset] = slf.get().0.state();
        Ok((slf.py().get_type::<PyGenerator>().getattr("_restore")?, (seed, offset)))
    }
    #[staticmethod]
    fn _restore(seed: u64, offset: u64) -> Self {
        let generator = Generator::new(seed);
        generator.set_state([seed, offset]);
        PyGenerator(generator)
    }
}

/// Seeds the generator that operations use where none is given, and gives it.
#[pyfunction]
pub fn manual_seed<'py>(py: Python<'py>, seed: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    default_generator().manual_seed(seed_bits(seed)?);
    py.import("tenflowers._core")?.getattr("default_generator")
}

/// The seed that the default generator started from.
#[pyfunction]
pub fn initial_seed() -> u64 {
    default_generator().initial_seed()
}

pub fn install(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.setattr("default_generator", PyGenerator(default_generator().clone()).into_pyobject(m.py())?)
}
