// The steps of backward in words: what is said of numbers, values and operations. No elements in here.

const SIGNS = { "*": "×", "/": "÷", "-": "−", "+": "+", neg: "−" };

/** A number with four digits that count. */
export const told = (number) => String(Number(number.toPrecision(4)) + 0);

export const sign = ({ operation }) => SIGNS[operation] ?? operation;

/** What a value is called: its name, or its number. */
export const called = (node) => node.label || told(node.data);

/** A value and what it was made of: "d = a × b". */
export function made(node, nodes) {
  const [a, b] = node.operands.map((id) => called(nodes[id]));
  return `${called(node)} = ${formula(node, a, b)}`;
}

function formula(node, a, b) {
  if (!node.operation) return "given";
  if (node.operation === "neg") return `−(${a})`;
  if (/^[a-z]/.test(node.operation)) return `${node.operation}(${a})`;
  return b === undefined ? `${a}${node.operation}` : `${a} ${sign(node)} ${b}`;
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

/** One addition in a sentence. */
export function addition({ operand, derivative, gradient }, step, nodes, grads) {
  return `${called(nodes[operand])} gets ${told(derivative)} × ${told(grads[step.node])} = ${told(gradient)}`;
}
