/**
 * Which operators a model may be made of, and of which versions: those of ONNX and ONNX-ML that ONNX Runtime computes on the CPU, but for
 * control flow, sequences, texts, pictures, randomness and training.
 */

/** What onnxruntime-node 1.30 reads; asking more of it ends in an error, asking less is no longer looked after. */
export const IR_VERSIONS = { from: 3, to: 13 } as const;
export const OPSETS: ReadonlyMap<string, { readonly from: number; readonly to: number }> = new Map([
  ['', { from: 7, to: 26 }],
  ['ai.onnx.ml', { from: 1, to: 5 }],
]);

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Allowed operators by domain. */
export const OPERATORS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  [
    '',
    words(`
      Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitShift BitwiseAnd BitwiseNot
      BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu Clip Compress Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose
      Cos Cosh CumSum DFT DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor
      GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GroupNormalization
      HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu
      Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean MeanVarianceNormalization MelWeightMatrix
      Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Range Reciprocal
      ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
      ReverseSequence Round STFT ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign
      SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor`),
  ],
  [
    'ai.onnx.ml',
    words(`
      ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LinearClassifier LinearRegressor Normalizer SVMClassifier SVMRegressor Scaler
      TreeEnsembleClassifier TreeEnsembleRegressor`),
  ],
]);

/** Attributes that lengths are divided by, or that count something: 0 and less would end the process, not the call. */
export const POSITIVE_ATTRIBUTES: ReadonlySet<string> = words(
  'strides dilations kernel_shape group blocksize num_groups num_outputs hidden_size q_num_heads kv_num_heads n_targets',
);

/** Attributes that lengths grow by. */
export const LENGTH_ATTRIBUTES: ReadonlySet<string> = words(
  'strides dilations kernel_shape group blocksize pads output_padding output_shape hidden_size num_groups num_outputs split n_targets',
);

/** No length or step of a model of sound is larger: 20 s at 48 kHz. */
export const MAX_LENGTH = 2 ** 20;

/** Inputs that say how large the output becomes, by operator: the product of a constant there must stay small. */
export const SIZE_INPUTS: ReadonlyMap<string, readonly number[]> = new Map([
  ['ConstantOfShape', [0]],
  ['Expand', [1]],
  ['Tile', [1]],
  ['Reshape', [1]],
  ['Pad', [1]],
  ['Resize', [3]],
  ['Range', [0, 1, 2]],
  ['OneHot', [1]],
  ['STFT', [1, 3]],
  ['DFT', [1]],
  ['HannWindow', [0]],
  ['HammingWindow', [0]],
  ['BlackmanWindow', [0]],
  ['MelWeightMatrix', [0, 1, 2]],
]);

/** Bits of one element by TensorProto.DataType, and the typed field that may hold it; types that are absent have no use here. */
export const ELEMENT_TYPES: ReadonlyMap<
  number,
  { readonly name: string; readonly bits: number; readonly field: string }
> = new Map([
  [1, { name: 'float32', bits: 32, field: 'float_data' }],
  [2, { name: 'uint8', bits: 8, field: 'int32_data' }],
  [3, { name: 'int8', bits: 8, field: 'int32_data' }],
  [4, { name: 'uint16', bits: 16, field: 'int32_data' }],
  [5, { name: 'int16', bits: 16, field: 'int32_data' }],
  [6, { name: 'int32', bits: 32, field: 'int32_data' }],
  [7, { name: 'int64', bits: 64, field: 'int64_data' }],
  [9, { name: 'bool', bits: 8, field: 'int32_data' }],
  [10, { name: 'float16', bits: 16, field: 'int32_data' }],
  [11, { name: 'float64', bits: 64, field: 'double_data' }],
  [12, { name: 'uint32', bits: 32, field: 'uint64_data' }],
  [13, { name: 'uint64', bits: 64, field: 'uint64_data' }],
  [16, { name: 'bfloat16', bits: 16, field: 'int32_data' }],
]);
