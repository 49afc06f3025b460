/** Measures the contrast of all visible text of a page (WCAG 2.2, 1.4.3); runs inside the page. */

/**
 * Texts below 4.5 : 1 (3 : 1 from 24 px, or 18.7 px bold) against what is painted behind them, as `ratio text`. Disabled
 * controls and what is hidden do not count. Self-contained, because it is sent to the browser.
 */
export function poorContrasts(): string[] {
  const canvas = document.createElement('canvas');
  canvas.width = 1;
  canvas.height = 1;
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  if (!pen) throw new Error('expected a 2d context, found none');
  const paint = (colours: readonly string[]) => {
    for (const colour of colours) {
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
    }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb: readonly number[]) => {
    const [red = 0, green = 0, blue = 0] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const poor: string[] = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent?.trim() ?? '';
    const element = node.parentElement;
    if (text === '' || !element || element.closest('[aria-hidden=true], :disabled, noscript, option, .visually-hidden'))
      continue;
    const style = getComputedStyle(element);
    if (element.getClientRects().length === 0 || style.visibility === 'hidden' || style.clipPath !== 'none') continue;
    const layers: string[] = [];
    for (let behind: Element | null = element; behind; behind = behind.parentElement) {
      layers.unshift(getComputedStyle(behind).backgroundColor);
    }
    const back = luminance(paint(['white', ...layers]));
    const front = luminance(paint(['white', ...layers, style.color]));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${text.slice(0, 40)}`);
  }
  return poor;
}
