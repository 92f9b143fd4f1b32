// The contrast of each text to what is behind it (WCAG 2.2, 1.4.3).
() => {
  const parts = (text) => {
    const [r, g, b, a = 1] = text.match(/[0-9.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (node) => {
    const { rgb, a } = parts(getComputedStyle(node).backgroundColor);
    return a === 1 || !node.parentElement ? rgb : behind(node.parentElement);
  };
  const hasText = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  return [...document.querySelectorAll("main *, header *, footer")]
    .filter((node) => hasText(node) && !node.closest("[hidden], svg, button:disabled"))
    .map((node) => {
      const [one, other] = [light(parts(getComputedStyle(node).color).rgb), light(behind(node))];
      return [node.className || node.tagName, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)];
    });
}
