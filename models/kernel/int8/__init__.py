"""Models of format 2, in integers; `docs/model-format.md` specifies them. To read in this order:

model         the integer arrays of a version, verified
vectors       16 and 32 values at a time through LLVM
matmul        products of int8 weights and int8 hidden states
cell          gates, cell state and hidden state in fixed point
lstm          one step of the LSTM, and the logits after a prefix
stage         that step as a stage of a plan
distribution  from logits to boundaries that random words are compared with
"""
