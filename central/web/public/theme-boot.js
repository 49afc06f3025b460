// Applies the viewer's stored theme before the first paint; a file of its own because the content security policy
// forbids inline scripts.
try {
  const stored = localStorage.getItem('fender.theme');
  if (stored === 'light' || stored === 'dark') document.documentElement.dataset.theme = stored;
} catch {
  // Storage may be forbidden; the system's theme is used then.
}
