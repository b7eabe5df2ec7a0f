//! `burst:edge/tensors`.

use super::{GuestFault, GuestState, TensorHandle};
use crate::{
    mechanisms::bindings::tensors::{Element as WitElement, Fault as WitFault, Host, HostTensor, Spec as WitSpec},
    nouns::{Element, Fault, ShapeError, Spec, Tensor},
};
use wasmtime::component::Resource;

impl Host for GuestState {
    fn convert_fault(&mut self, fault: GuestFault) -> wasmtime::Result<WitFault> {
        match fault {
            GuestFault::Fault(fault) => {
                self.device_lost |= fault == Fault::DeviceLost;
                Ok(fault.into())
            }
            GuestFault::Trap(error) => Err(error),
        }
    }
}

impl HostTensor for GuestState {
    async fn upload(&mut self, spec: WitSpec, data: Vec<u8>) -> Result<Resource<TensorHandle>, GuestFault> {
        let tensor = Tensor::host(Spec::try_from(&spec)?, data)?;
        let charge = self.ledger.charge_tensor(&tensor)?;
        let tensor = self.grants.accelerator.upload(tensor).await?;
        Ok(self.table.push(TensorHandle { tensor, _charge: charge })?)
    }

    fn spec(&mut self, tensor: Resource<TensorHandle>) -> wasmtime::Result<WitSpec> {
        self.table.get(&tensor)?.tensor.spec().try_into()
    }

    async fn download(&mut self, tensor: Resource<TensorHandle>) -> Result<Vec<u8>, GuestFault> {
        let tensor = self.tensor(&tensor)?.clone();
        let limit = self.grants.limits.call_max_bytes.get();
        let host = self.grants.accelerator.download(&tensor).await?;
        let contents = host.contents().ok_or(Fault::DeviceLost)?;
        if contents.len() > limit {
            return Err(Fault::TooLarge(format!("{} bytes, call_max_bytes is {limit}", contents.len())).into());
        }
        Ok(contents.to_vec())
    }

    fn drop(&mut self, tensor: Resource<TensorHandle>) -> wasmtime::Result<()> {
        self.table.delete(tensor)?;
        Ok(())
    }
}

impl From<ShapeError> for Fault {
    fn from(error: ShapeError) -> Self {
        match error {
            ShapeError::Elements => Self::TooLarge(error.to_string()),
            error => Self::Invalid(error.to_string()),
        }
    }
}

impl From<ShapeError> for GuestFault {
    fn from(error: ShapeError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Fault> for WitFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Invalid(why) => Self::Invalid(why),
            Fault::NotFound(name) => Self::NotFound(name),
            Fault::Unsupported(what) => Self::Unsupported(what),
            Fault::TooLarge(what) => Self::TooLarge(what),
            Fault::OutOfMemory => Self::OutOfMemory,
            Fault::TimedOut => Self::TimedOut,
            Fault::DeviceLost => Self::DeviceLost,
        }
    }
}

impl TryFrom<&WitSpec> for Spec {
    type Error = ShapeError;

    fn try_from(spec: &WitSpec) -> Result<Self, ShapeError> {
        let extents: Vec<usize> = spec.shape.iter().map(|&extent| extent as usize).collect();
        Self::new(spec.element.into(), extents)
    }
}

impl TryFrom<&Spec> for WitSpec {
    type Error = wasmtime::Error;

    fn try_from(spec: &Spec) -> wasmtime::Result<Self> {
        // No extent exceeds Shape::ELEMENTS_MAX.
        let shape = spec.shape.extents().iter().map(|&extent| extent as u32).collect();
        Ok(Self { element: spec.element.try_into()?, shape })
    }
}

/// Both enums list the same cases in the same order, but for those of models alone; this table is where they meet.
macro_rules! elements {
    ($($host:ident = $wit:ident),* $(,)?) => {
        impl From<WitElement> for Element {
            fn from(element: WitElement) -> Self {
                match element { $(WitElement::$wit => Self::$host),* }
            }
        }

        impl TryFrom<Element> for WitElement {
            type Error = wasmtime::Error;

            fn try_from(element: Element) -> wasmtime::Result<Self> {
                match element {
                    $(Element::$host => Ok(Self::$wit),)*
                    // None gets here: `held_by_guests` refuses what would bring it.
                    Element::Narrow(narrow) => Err(wasmtime::format_err!("guests have no name for {narrow}")),
                }
            }
        }
    };
}

elements! {
    Fp16 = Fp16, Fp32 = Fp32, Fp64 = Fp64, Bf16 = Bf16, U8 = U8, U16 = U16, U32 = U32, U64 = U64,
    I8 = I8, I16 = I16, I32 = I32, I64 = I64, Bool = Bool, Bytes = Bytes,
}
