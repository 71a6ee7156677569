/// A rule ready to be evaluated: only what rules may do, names resolved, macros recognised.
#[derive(Debug, PartialEq)]
pub(crate) enum Expression {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Box<str>),
    List(Vec<Self>),
    /// The task's object.
    Object,
    /// A macro's variable, counted from the outermost macro.
    Variable(usize),
    /// `of.name`
    Field {
        of: Box<Self>,
        name: Box<str>,
    },
    /// `has(of.name)`
    Has {
        of: Box<Self>,
        name: Box<str>,
    },
    /// `of[at]`
    Index {
        of: Box<Self>,
        at: Box<Self>,
    },
    Not(Box<Self>),
    Negate(Box<Self>),
    Both(Box<[Self; 2]>),
    Either(Box<[Self; 2]>),
    /// `condition ? then : otherwise`
    If(Box<[Self; 3]>),
    Binary {
        operator: Operator,
        operands: Box<[Self; 2]>,
    },
    Call {
        function: Function,
        arguments: Vec<Self>,
    },
    Each {
        quantifier: Quantifier,
        over: Box<Self>,
        filter: Option<Box<Self>>,
        body: Box<Self>,
    },
}

/// The operators that evaluate both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// The functions of rules. A method's receiver is its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
}

/// What a macro makes of its body's value for each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Expression {
    /// The type of the result where the expression alone tells it.
    pub(crate) fn result_type(&self) -> Option<&'static str> {
        match self {
            Self::Null => Some("null"),
            Self::Int(_) => Some("int"),
            Self::Uint(_) => Some("uint"),
            Self::Double(_) => Some("double"),
            Self::Text(_) => Some("string"),
            Self::List(_) => Some("list"),
            Self::Object => Some("map"),
            Self::Negate(_) => Some("number"),
            Self::Bool(_) | Self::Has { .. } | Self::Not(_) | Self::Both(_) | Self::Either(_) => {
                Some("bool")
            }
            Self::Binary { operator, .. } => Some(operator.result_type()),
            Self::Call {
                function: Function::Size,
                ..
            } => Some("int"),
            Self::Call { .. } => Some("bool"),
            Self::Each {
                quantifier: Quantifier::Filter | Quantifier::Map,
                ..
            } => Some("list"),
            Self::Each { .. } => Some("bool"),
            Self::Variable(_) | Self::Field { .. } | Self::Index { .. } | Self::If(_) => None,
        }
    }
}

impl Operator {
    fn result_type(self) -> &'static str {
        match self {
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder => {
                "number"
            }
            _ => "bool",
        }
    }

    /// As it is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Function {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
        }
    }
}
