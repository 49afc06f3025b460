/** The calls of the sd-notify addon that the agent uses. */
declare module 'sd-notify' {
  const addon: {
    /** Sends newline-separated assignments as in sd_notify(3). */
    sendState(state: string): void;
  };
  // biome-ignore lint/style/noDefaultExport: the package is CommonJS, whose exports are its default.
  export default addon;
}
