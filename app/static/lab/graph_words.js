// The steps of backward in words: what is said of numbers, values and operations. No elements in here.

const SIGNS = { "*": "×", "/": "÷", "-": "−", "+": "+", neg: "−" };

/** A number with four digits that count. */
export const told = (number) => String(Number(number.toPrecision(4)) + 0);

export const sign = ({ operation }) => SIGNS[operation] ?? operation;

// How far into what it was made of a value without a name is told.
const DEPTH = 2;
// How tightly an operation holds together: what is looser inside of it stands in parentheses.
const TIGHT = { "+": 1, "-": 1, "*": 2, "/": 2, neg: 3 };

const isFunction = ({ operation }) => /^[a-z]/.test(operation) && operation !== "neg";

/** What a value is called: its name, its number, or what it was made of. */
export function called(node, nodes, depth = DEPTH) {
  if (node.label) return node.label;
  return !node.operation || depth === 0 ? told(node.data) : formula(node, nodes, depth - 1);
}

/** What a value was made of: "a × b". */
export function formula(node, nodes, depth = DEPTH) {
  if (!node.operation) return "given";
  const [a, b] = node.operands.map((id, i) => part(nodes[id], nodes, depth, node, i));
  if (node.operation === "neg") return `−${a}`;
  if (isFunction(node)) return `${node.operation}(${a})`;
  return b === undefined ? `${a}${node.operation}` : `${a} ${sign(node)} ${b}`;
}

/** The i-th operand of `whole`, in parentheses where it needs them. */
function part(node, nodes, depth, whole, i) {
  const text = called(node, nodes, depth);
  if (node.label || isFunction(whole)) return text;
  const isNumber = !node.operation || depth === 0;
  const inside = isNumber ? (node.data < 0 ? 2.5 : 9) : isFunction(node) ? 9 : (TIGHT[node.operation] ?? 4);
  const outside = TIGHT[whole.operation] ?? 4.5;
  // a - (b + c) is not a - b + c.
  const isLoose = inside < outside || (i === 1 && inside === outside && "-/".includes(whole.operation));
  return isLoose ? `(${text})` : text;
}

/** A value, what it was made of, and its number: "d = a × b = -6". */
export function made(node, nodes) {
  const parts = [node.label, formula(node, nodes), told(node.data)];
  return parts.filter((part) => part).join(" = ");
}

const RULES = {
  "+": "A sum moves as each of its terms does, so it hands its gradient on as it is.",
  "-": "A difference moves with its first term and against its second.",
  "*": "A product moves with each factor as fast as the other factor is large.",
  "/": "A quotient a ÷ b moves with a by 1 ÷ b, and with b by −a ÷ b².",
  neg: "A minus sign turns the direction around: the derivative is -1.",
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
  return RULES[node.operation] ?? `A power x ** n moves by n × x ** (n − 1): here n is ${node.operation.slice(2)}.`;
}

/** One addition in a sentence; where there was a gradient before, with what it makes in all. */
export function addition({ operand, derivative, gradient, before, sum }, step, nodes, grads) {
  const inAll = before === 0 ? "" : `, now ${told(sum)} in all`;
  return `${called(nodes[operand], nodes)} gets ${told(derivative)} × ${told(grads[step.node])} = ${told(gradient)}${inAll}`;
}
