/** What the exit status of `fender` means; `fender --help` prints this table. */

export const EXIT = {
  /** Done. */
  ok: 0,
  /** The work failed; the last line on stderr says why. */
  failed: 1,
  /** The command line or the configuration is wrong; nothing was started. */
  usage: 2,
  /** The work was done and found something wrong: a failed check, a damaged bag. */
  findings: 3,
} as const;

export const EXIT_HELP = `
Exit status:
  0  done
  1  the work failed; the last line on stderr says why
  2  the command line or the configuration is wrong; nothing was started
  3  done, and something wrong was found (a failed check, a damaged bag)`;
