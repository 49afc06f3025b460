/**
 * What the shipped model must reach on clips it never met, fold 4 and cross-validated: a little under what `fender evaluate` measures,
 * so that a model, or a change of the detector, that hears worse does not land.
 */
export const FLOORS = {
  /** ROC AUC of the clips as they are, and of every clip in real noise at 10 and 0 dB. */
  rocAuc: 0.95,
  rocAucAt10Db: 0.92,
  rocAucAt0Db: 0.82,
  /** Recall where 2 and 5 of 100 others are taken for impacts. */
  recallAt2: 0.6,
  recallAt5: 0.75,
  /** Share of the detected impacts with the right label. */
  kindAccuracy: 0.95,
  /** False alarms an hour in backgrounds, at most, where 0.9 of the impacts are found. */
  falseAlarmsAtRecall: 60,
  /** What int8 may lose of the ROC AUC. */
  int8Loss: 0.005,
  /** Means of the cross-validation. */
  crossRocAuc: 0.95,
  crossRecallAt5: 0.75,
};
