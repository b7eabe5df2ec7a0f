//! Halves computed as floats, which processors are many times faster at: rounded where they leave, and where the model
//! itself casts.

use std::collections::HashSet;
use tract_onnx::tract_core::{
    internal::*,
    ops::{
        array::{Pad, PadMode},
        binary::TypedBinOp,
        cast::{Cast, cast},
        change_axes::AxisOp,
        einsum::EinSum,
        element_wise::ElementWiseOp,
        konst::Const,
        logic::IfThenElse,
        scan::Scan,
        source::TypedSource,
    },
};

/// The model with floats inside, if it has halves. What goes in and comes out stays as it is.
pub(super) fn widened(model: TypedModel) -> TractResult<TypedModel> {
    let half = |outlet: &Outlet<TypedFact>| outlet.fact.datum_type == DatumType::F16;
    if !model.nodes().iter().any(|node| node.outputs.iter().any(half)) {
        return Ok(model);
    }
    Widening::new(&model, false).done()
}

struct Widening<'a> {
    from: &'a TypedModel,
    to: TypedModel,
    /// What stands for each value; halves are floats here.
    mapping: HashMap<OutletId, OutletId>,
    /// Floats that are halves to the bit.
    exact: HashSet<OutletId>,
    /// Whether what goes in and comes out is floats, too.
    through: bool,
}

impl<'a> Widening<'a> {
    fn new(from: &'a TypedModel, through: bool) -> Self {
        let to = TypedModel { symbols: from.symbols.clone(), ..TypedModel::default() };
        Self { from, to, mapping: HashMap::new(), exact: HashSet::new(), through }
    }

    fn done(mut self) -> TractResult<TypedModel> {
        let from = self.from;
        for input in from.input_outlets()? {
            self.source(input.node)?;
        }
        for id in from.eval_order()? {
            if !from.node(id).op_is::<TypedSource>() {
                self.node(id).with_context(|| format!("{} as floats", from.node(id).name))?;
            }
        }
        self.to.inputs.clear();
        for input in from.input_outlets()? {
            let wide = self.mapping[input];
            let source = self.to.node(wide.node);
            self.to.inputs.push(if source.op_is::<TypedSource>() { wide } else { source.inputs[0] });
        }
        let mut outputs = Vec::new();
        for output in from.output_outlets()? {
            outputs.push(if self.through { self.mapping[output] } else { self.as_it_is(*output)? });
        }
        self.to.outputs = outputs;
        self.to.properties.clone_from(&from.properties);
        Ok(self.to)
    }

    fn is_half(&self, outlet: OutletId) -> TractResult<bool> {
        Ok(self.from.outlet_fact(outlet)?.datum_type == DatumType::F16)
    }

    fn source(&mut self, id: usize) -> TractResult<()> {
        let (node, outlet) = (self.from.node(id), OutletId::new(id, 0));
        let mut fact = self.from.outlet_fact(outlet)?.clone();
        let half = fact.datum_type == DatumType::F16;
        if half && self.through {
            fact = DatumType::F32.fact(fact.shape.clone());
        }
        let mut wire = self.to.add_source(&node.name, fact)?;
        // tract panics at a cast that nothing follows.
        let used = !node.outputs[0].successors.is_empty() || self.from.output_outlets()?.contains(&outlet);
        if half && !self.through && used {
            wire = self.wire(&node.name, "wide", cast(DatumType::F32), &[wire])?[0];
            self.exact.insert(wire);
        }
        self.mapping.insert(outlet, wire);
        Ok(())
    }

    fn wire(
        &mut self,
        name: &str,
        part: &str,
        op: impl Into<Box<dyn TypedOp>>,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let name = self.to.unique_name(format!("{name}.{part}")).into_owned();
        self.to.wire_node(name, op, inputs)
    }

    /// A value in its own type.
    fn as_it_is(&mut self, outlet: OutletId) -> TractResult<OutletId> {
        let (wide, name) = (self.mapping[&outlet], self.from.node(outlet.node).name.clone());
        if !self.is_half(outlet)? {
            return Ok(wide);
        }
        Ok(self.wire(&name, "narrow", cast(DatumType::F16), &[wide])?[0])
    }

    /// The floats of a half, rounded to it.
    fn rounded(&mut self, name: &str, narrow: OutletId) -> TractResult<OutletId> {
        let wide = self.wire(name, "wide", cast(DatumType::F32), &[narrow])?[0];
        self.exact.insert(wide);
        Ok(wide)
    }

    fn node(&mut self, id: usize) -> TractResult<()> {
        let node = self.from.node(id);
        let touched = (0..node.outputs.len()).map(|slot| OutletId::new(id, slot)).chain(node.inputs.iter().copied());
        let touched = touched.map(|outlet| self.is_half(outlet)).collect::<TractResult<Vec<_>>>()?.contains(&true);
        let outlets = if !touched {
            let inputs: TVec<OutletId> = node.inputs.iter().map(|input| self.mapping[input]).collect();
            self.to.wire_node(&node.name, node.op.clone(), &inputs)?
        } else if let Some(konst) = node.op_as::<Const>() {
            let value = konst.val().cast_to_dt(DatumType::F32)?.into_owned();
            let wire = self.to.add_const(&node.name, value)?;
            self.exact.insert(wire);
            tvec!(wire)
        } else if let Some(op) = node.op_as::<Cast>() {
            tvec!(self.cast(node, op.to)?)
        } else {
            match self.as_floats(node)? {
                Some(outlets) => outlets,
                None => self.as_halves(node)?,
            }
        };
        self.mapping.extend(outlets.into_iter().enumerate().map(|(slot, wire)| (OutletId::new(id, slot), wire)));
        Ok(())
    }

    /// A cast that the model asks for: it rounds.
    fn cast(&mut self, node: &TypedNode, to: DatumType) -> TractResult<OutletId> {
        let (input, name) = (node.inputs[0], node.name.as_str());
        let mut wire = self.mapping[&input];
        if self.is_half(input)? {
            if !self.exact.contains(&wire) {
                let narrow = self.as_it_is(input)?;
                wire = self.rounded(name, narrow)?;
            }
            let result = self.wire(name, "cast", cast(to), &[wire])?[0];
            return if to == DatumType::F16 { self.rounded(name, result) } else { Ok(result) };
        }
        let narrow = self.wire(name, "cast", cast(DatumType::F16), &[wire])?[0];
        self.rounded(name, narrow)
    }

    /// The operator on floats, unless it would give something else than floats for halves.
    fn as_floats(&mut self, node: &TypedNode) -> TractResult<Option<TVec<OutletId>>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|input| self.mapping[input]).collect();
        let Some(op) = floating(node)? else { return Ok(None) };
        let found = {
            let facts = inputs.iter().map(|input| self.to.outlet_fact(*input)).collect::<TractResult<TVec<_>>>()?;
            op.output_facts(&facts)
        };
        let Ok(found) = found else { return Ok(None) };
        let wanted = node.outputs.iter().map(|output| match output.fact.datum_type {
            DatumType::F16 => DatumType::F32,
            other => other,
        });
        if !found.iter().map(|fact| fact.datum_type).eq(wanted) {
            return Ok(None);
        }
        let outlets = self.to.wire_node(&node.name, op, &inputs)?;
        if node.op_is::<AxisOp>() && self.exact.contains(&inputs[0]) {
            self.exact.extend(outlets.iter().copied());
        }
        Ok(Some(outlets))
    }

    /// The operator as it is.
    fn as_halves(&mut self, node: &TypedNode) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> =
            node.inputs.iter().map(|input| self.as_it_is(*input)).collect::<TractResult<_>>()?;
        let outlets = self.to.wire_node(&node.name, node.op.clone(), &inputs)?;
        let wide = |(slot, wire): (usize, &OutletId)| {
            if node.outputs[slot].fact.datum_type == DatumType::F16 {
                self.rounded(&node.name, *wire)
            } else {
                Ok(*wire)
            }
        };
        outlets.iter().enumerate().map(wide).collect()
    }
}

/// An operator of halves as one of floats; `None` for what has halves inside that are not known here.
fn floating(node: &TypedNode) -> TractResult<Option<Box<dyn TypedOp>>> {
    let half = Some(DatumType::F16);
    Ok(Some(if let Some(op) = node.op_as::<ElementWiseOp>() {
        Box::new(ElementWiseOp(op.0.clone(), op.1.filter(|of| Some(*of) != half)))
    } else if let Some(op) = node.op_as::<TypedBinOp>() {
        Box::new(TypedBinOp(op.0.clone(), op.1.filter(|of| Some(*of) != half)))
    } else if let Some(op) = node.op_as::<EinSum>() {
        let operating_dt = if op.operating_dt == DatumType::F16 { DatumType::F32 } else { op.operating_dt };
        Box::new(EinSum { operating_dt, ..op.clone() })
    } else if let Some(op) = node.op_as::<Pad>() {
        let mode = match &op.mode {
            PadMode::Constant(value) if value.datum_type() == DatumType::F16 => {
                PadMode::Constant(value.cast_to_dt(DatumType::F32)?.into_owned().into_arc_tensor())
            }
            other => other.clone(),
        };
        Box::new(Pad { mode, ..op.clone() })
    } else if let Some(op) = node.op_as::<Scan>() {
        Box::new(Scan { body: Widening::new(&op.body, true).done()?, ..op.clone() })
    } else if let Some(op) = node.op_as::<IfThenElse>() {
        let then_body = Widening::new(&op.then_body, true).done()?;
        Box::new(IfThenElse { then_body, else_body: Widening::new(&op.else_body, true).done()?, ..op.clone() })
    } else {
        node.op.clone()
    }))
}
