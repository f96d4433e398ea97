// Texts that explain the steps of the backward pass: numbers, values and operations. No DOM elements.

const SIGNS = { "*": "×", "/": "÷", "-": "−", "+": "+", neg: "−" };

/** Use one minus sign in all visible text. */
const minus = (text) => text.replaceAll("-", "−");

/** Format a number with four significant digits. */
export const format = (number) => minus(String(Number(number.toPrecision(4)) + 0));

export const sign = ({ operation }) => SIGNS[operation] ?? minus(operation);

// In a longer formula, numbers replace the parts without a name.
const MAX_LENGTH = 40;
// An operand of lower precedence gets parentheses.
const PRECEDENCE = { "+": 1, "-": 1, "*": 2, "/": 2, neg: 3 };

const isFunction = ({ operation }) => /^[a-z]/.test(operation) && operation !== "neg";

/** The name of a value: its first label, its formula, or its number. */
export function nameOf(node, nodes) {
  if (node.label) return node.label.split(",")[0];
  const text = node.operation ? expressionOf(node, nodes, true) : "";
  return text && text.length <= MAX_LENGTH ? text : format(node.data);
}

/** The operation of a value: "a × b". Operands without a name appear as formulas, or as numbers if that is too long. */
export function formula(node, nodes) {
  if (!node.operation) return "given";
  const text = expressionOf(node, nodes, true);
  return text.length <= MAX_LENGTH ? text : expressionOf(node, nodes, false);
}

function expressionOf(node, nodes, whole) {
  const [a, b] = node.operands.map((id, i) => part(nodes[id], nodes, whole, node, i));
  if (node.operation === "neg") return `−${a}`;
  if (isFunction(node)) return `${node.operation}(${a})`;
  return b === undefined ? `${a}${sign(node)}` : `${a} ${sign(node)} ${b}`;
}

/** The i-th operand of `result`, in parentheses where it needs them. */
function part(node, nodes, whole, result, i) {
  if (node.label) return nameOf(node, nodes);
  const isNumber = !node.operation || !whole;
  const text = isNumber ? format(node.data) : expressionOf(node, nodes, whole);
  if (isFunction(result)) return text;
  const inside = isNumber ? (node.data < 0 ? 2.5 : 9) : isFunction(node) ? 9 : (PRECEDENCE[node.operation] ?? 4);
  const outside = PRECEDENCE[result.operation] ?? 4.5;
  // a - (b + c) is not a - b + c.
  const needsParentheses = inside < outside || (i === 1 && inside === outside && "-/".includes(result.operation));
  return needsParentheses ? `(${text})` : text;
}

/** A value's names, formula and number as an equation: "d = a × b = −6". */
export function equation(node, nodes) {
  const parts = [...node.label.split(", "), formula(node, nodes), format(node.data)];
  return parts.filter((part) => part).join(" = ");
}

const RULES = {
  "+": "A sum moves as each of its terms does, so it hands its gradient on as it is.",
  "-": "A difference moves with its first term and against its second.",
  "*": "A product moves with each factor as fast as the other factor is large.",
  "/": "A quotient a ÷ b moves with a by 1 ÷ b, and with b by −a ÷ b².",
  neg: "A minus sign turns the direction around: the derivative is −1.",
  exp: "The exponential function is its own derivative.",
  log: "The derivative of the logarithm is 1 ÷ the number.",
  "**": "A power a ** b moves with a by b × a ** (b − 1), and with b by a ** b × log(a).",
};

/** Why the local derivatives of a node are what they are. */
export function rule(node, nodes) {
  const input = nodes[node.operands[0]].data;
  if (node.operation === "tanh")
    return `The derivative of tanh is 1 − tanh², here 1 − (${format(node.data)})²: the flatter tanh is, the less gets through.`;
  if (node.operation === "relu")
    return input > 0 ? "The input is above 0: relu lets the gradient through." : "The input is not above 0: relu lets nothing through.";
  return RULES[node.operation] ?? `A power x ** n moves by n × x ** (n − 1): here n is ${minus(node.operation.slice(2))}.`;
}

/** One addition as a sentence, with the sum if there was a gradient before. */
export function addition({ operand, derivative, gradient, before, sum }, step, nodes, grads) {
  const inAll = before === 0 ? "" : `, now ${format(sum)} in all`;
  return `${nameOf(nodes[operand], nodes)} gets ${format(derivative)} × ${format(grads[step.node])} = ${format(gradient)}${inAll}`;
}
