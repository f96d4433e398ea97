// The steps of backward in words: what is said of numbers, values and operations. No elements in here.

const SIGNS = { "*": "×", "/": "÷", "-": "−", "+": "+", neg: "−" };

/** One sign for minus in all that is read. */
const minus = (text) => text.replaceAll("-", "−");

/** A number with four digits that count. */
export const told = (number) => minus(String(Number(number.toPrecision(4)) + 0));

export const sign = ({ operation }) => SIGNS[operation] ?? minus(operation);

// Formulas that are longer tell numbers instead of how their parts were made.
const LONGEST = 40;
// How tightly an operation holds together: what is looser inside of it stands in parentheses.
const TIGHT = { "+": 1, "-": 1, "*": 2, "/": 2, neg: 3 };

const isFunction = ({ operation }) => /^[a-z]/.test(operation) && operation !== "neg";

/** What a value is called: its first name, its number, or what it was made of. */
export function called(node, nodes) {
  if (node.label) return node.label.split(",")[0];
  const text = node.operation ? written(node, nodes, true) : "";
  return text && text.length <= LONGEST ? text : told(node.data);
}

/** What a value was made of: "a × b". What has no name in it is told by how it was made, or all of it by numbers. */
export function formula(node, nodes) {
  if (!node.operation) return "given";
  const text = written(node, nodes, true);
  return text.length <= LONGEST ? text : written(node, nodes, false);
}

function written(node, nodes, whole) {
  const [a, b] = node.operands.map((id, i) => part(nodes[id], nodes, whole, node, i));
  if (node.operation === "neg") return `−${a}`;
  if (isFunction(node)) return `${node.operation}(${a})`;
  return b === undefined ? `${a}${sign(node)}` : `${a} ${sign(node)} ${b}`;
}

/** The i-th operand of `result`, in parentheses where it needs them. */
function part(node, nodes, whole, result, i) {
  if (node.label) return called(node, nodes);
  const isNumber = !node.operation || !whole;
  const text = isNumber ? told(node.data) : written(node, nodes, whole);
  if (isFunction(result)) return text;
  const inside = isNumber ? (node.data < 0 ? 2.5 : 9) : isFunction(node) ? 9 : (TIGHT[node.operation] ?? 4);
  const outside = TIGHT[result.operation] ?? 4.5;
  // a - (b + c) is not a - b + c.
  const isLoose = inside < outside || (i === 1 && inside === outside && "-/".includes(result.operation));
  return isLoose ? `(${text})` : text;
}

/** A value, what it was made of, and its number: "d = a × b = −6"; of more names each. */
export function made(node, nodes) {
  const parts = [...node.label.split(", "), formula(node, nodes), told(node.data)];
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
    return `The derivative of tanh is 1 − tanh², here 1 − (${told(node.data)})²: the flatter tanh is, the less gets through.`;
  if (node.operation === "relu")
    return input > 0 ? "What came in is above 0: relu lets the gradient through." : "What came in is not above 0: relu lets nothing through.";
  return RULES[node.operation] ?? `A power x ** n moves by n × x ** (n − 1): here n is ${minus(node.operation.slice(2))}.`;
}

/** One addition in a sentence; where there was a gradient before, with what it makes in all. */
export function addition({ operand, derivative, gradient, before, sum }, step, nodes, grads) {
  const inAll = before === 0 ? "" : `, now ${told(sum)} in all`;
  return `${called(nodes[operand], nodes)} gets ${told(derivative)} × ${told(grads[step.node])} = ${told(gradient)}${inAll}`;
}
