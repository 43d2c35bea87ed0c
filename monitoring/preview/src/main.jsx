// Draws one dashboard: ?board=FILE&prometheus=URL, and what `parameters` reads below.
import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';
import 'uplot/dist/uPlot.min.css';

import { createTheme, dateTime, ThemeContext } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { Component } from 'react';
import { createRoot } from 'react-dom/client';

import { exemplarsOf, framesOf, marksOf } from './data.js';
import { isEmpty, KINDS } from './panels.jsx';
import { seconds, Source } from './prometheus.js';

const COLUMNS = 24;
const ROW_HEIGHT = 38;
const MARGIN = 8;

// What is missing or broken, for whoever takes pictures; `done` when there is nothing more to draw.
window.preview = { problems: [], done: false };

function parameters() {
  const given = new URLSearchParams(location.search);
  const to = Number(given.get('to') ?? Date.now() / 1000);
  return {
    board: given.get('board'),
    prometheus: given.get('prometheus') ?? 'http://127.0.0.1:9090',
    theme: given.get('theme') ?? 'dark',
    width: Number(given.get('width') ?? window.innerWidth),
    to,
    from: to - seconds(given.get('range') ?? '1h'),
    interval: seconds(given.get('interval') ?? '15s'),
    variables: Object.fromEntries([...given].filter(([name]) => name.startsWith('var-'))
      .map(([name, value]) => [name.slice('var-'.length), value])),
  };
}

class Guard extends Component {
  state = {};

  static getDerivedStateFromError(error) {
    return { error };
  }

  componentDidCatch(error) {
    window.preview.problems.push(`${this.props.title}: ${error.message}`);
  }

  render() {
    return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children;
  }
}

function Body({ panel, frames, ...place }) {
  if (isEmpty(frames)) {
    const text = panel.fieldConfig.defaults.noValue ?? 'No data';
    return <div style={{ display: 'grid', placeItems: 'center', height: place.height }}>{text}</div>;
  }
  const Kind = KINDS[panel.type];
  return <Kind panel={panel} frames={frames} {...place} />;
}

function Placed({ panel, width, children }) {
  const { x, y, w, h } = panel.gridPos;
  const column = (width - 2 * MARGIN) / COLUMNS;
  const style = {
    position: 'absolute',
    left: MARGIN + x * column,
    top: MARGIN + y * ROW_HEIGHT,
    width: w * column - MARGIN,
    height: h * ROW_HEIGHT - MARGIN,
  };
  return <div style={style}>{children(style.width, style.height)}</div>;
}

function Board({ board, drawn, marks, width, theme, timeRange }) {
  const bottom = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <h1 style={{ margin: '12px 16px 0', fontSize: 18 }}>{board.title}</h1>
      <div style={{ position: 'relative', width, height: bottom * ROW_HEIGHT + 2 * MARGIN }}>
        {board.panels.map((panel) => (
          <Placed key={panel.id} panel={panel} width={width}>
            {(panelWidth, panelHeight) => panel.type === 'row' ? <b>{panel.title}</b> : (
              <Guard title={panel.title}>
                <PanelChrome
                  title={panel.title}
                  description={panel.description}
                  width={panelWidth}
                  height={panelHeight}
                  padding="md"
                >
                  {(innerWidth, innerHeight) => (
                    <Guard title={panel.title}>
                      <Body
                        panel={panel}
                        {...drawn.get(panel.id)}
                        marks={marks}
                        width={innerWidth}
                        height={innerHeight}
                        timeRange={timeRange}
                        theme={theme}
                      />
                    </Guard>
                  )}
                </PanelChrome>
              </Guard>
            )}
          </Placed>
        ))}
      </div>
    </ThemeContext.Provider>
  );
}

async function load(panel, source, width, theme) {
  try {
    const own = (panel.gridPos.w / COLUMNS) * width;
    const frames = await framesOf(panel, source, own, theme);
    if (isEmpty(frames)) {
      window.preview.problems.push(`${panel.title}: no data`);
    }
    return [panel.id, { frames, exemplars: await exemplarsOf(panel, source, own) }];
  } catch (error) {
    window.preview.problems.push(`${panel.title}: ${error.message}`);
    return [panel.id, { frames: [], exemplars: [] }];
  }
}

async function main() {
  const { board: file, prometheus, theme: mode, width, from, to, interval, variables } = parameters();
  await initPluginTranslations('preview', [async () => ({})]);
  const theme = createTheme({ colors: { mode } });
  document.body.style.background = theme.colors.background.canvas;
  document.documentElement.style.background = theme.colors.background.canvas;
  const board = await (await fetch(file)).json();
  const source = new Source(prometheus, { from, to, interval, width, variables });
  // Grafana measures texts with its font alone, before it draws them.
  await document.fonts.load("14px 'Inter'");
  const shown = board.panels.filter((panel) => panel.type !== 'row');
  const drawn = new Map(await Promise.all(shown.map((panel) => load(panel, source, width, theme))));
  const marks = (await Promise.all(board.annotations.list.filter((each) => each.enable).map((each) => marksOf(each, source)))).flat();
  const [begin, end] = [dateTime(from * 1000), dateTime(to * 1000)];
  const timeRange = { from: begin, to: end, raw: { from: begin, to: end } };
  createRoot(document.getElementById('root')).render(
    <Board board={board} drawn={drawn} marks={marks} width={width} theme={theme} timeRange={timeRange} />);
  // Curves and bars are drawn some frames after their components are there.
  setTimeout(() => { window.preview.done = true; }, 2000);
}

main().catch((error) => {
  window.preview.problems.push(`${error.stack}`);
  window.preview.done = true;
});
