// The terminal's library writes <style> elements and style attributes, which our policy
// (style-src 'self', app/web/console/headers.py) refuses. The style sheet interfaces are allowed, since
// only a script that may run anyway can use them: so what it writes is handed to those.

function adopted() {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const standIn = document.createElementNS("http://www.w3.org/1999/xhtml", "template");
  Object.defineProperty(standIn, "textContent", { set: (text) => sheet.replaceSync(text) });
  standIn.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    Element.prototype.remove.call(standIn);
  };
  return standIn;
}

function styledByRules(span) {
  span.setAttribute = (name, value) => {
    if (name === "style") span.style.cssText = value;
    else Element.prototype.setAttribute.call(span, name, value);
  };
  return span;
}

/** From now on elements that would break the policy are made so that they do not. */
export function allowTerminalStyles() {
  const create = Document.prototype.createElement;
  document.createElement = (name, options) => {
    if (name === "style") return adopted();
    const made = create.call(document, name, options);
    return name === "span" ? styledByRules(made) : made;
  };
}
