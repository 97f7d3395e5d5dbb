// The page of `viewer.html`: markup, style and the script that draws, with its data inside.
import type { ViewerData } from './viewer.ts';

/** A whole document that loads nothing. */
export function viewerPage(data: ViewerData): string {
  // So that no name ends the script.
  const json = JSON.stringify(data).replaceAll('<', String.raw`\u003c`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>Acoustic field</title>
<style>${style}</style>
</head>
<body>
<h1 id="name"></h1>
<p id="largest"></p>
<p>
<label>plane <select id="plane"><option value="1">XZ</option><option value="2">YZ</option><option value="0">XY</option></select></label>
<label>shown <select id="shown"><option>amplitude</option><option>phase</option></select></label>
<label>at <input id="at" type="range" min="0"> <output id="place"></output></label>
</p>
<div class="plot">
<span id="up" class="up"></span><canvas id="field"></canvas>
<div class="legend"><span id="most"></span><canvas id="bar" width="1" height="256"></canvas><span id="least"></span></div>
<span id="across" class="across"></span>
</div>
<output id="value"></output>
<h2>Phases of the elements, from above</h2>
<p class="turns">−180° <canvas id="turns" width="256" height="1"></canvas> 180°</p>
<div id="elements"></div>
<script>const data = ${json};
${script}</script>
</body>
</html>
`;
}

const style = `body{font:14px system-ui,sans-serif;margin:1.5rem;background:#111;color:#ddd}
h1,h2{font-weight:600}h1{font-size:1.3rem}h2{font-size:1rem}
label{margin-right:1.5rem}canvas{image-rendering:pixelated;background:#000;max-width:100%}
#field{width:min(80vw,640px);height:auto;align-self:start;cursor:crosshair}#value{display:block;min-height:1.4em}
.plot{display:grid;grid-template-columns:auto auto 1fr;gap:.4rem .6rem;align-items:stretch}
.up,.across,.turns{display:flex;justify-content:space-between}.up{writing-mode:vertical-rl;transform:rotate(180deg)}.across{grid-column:2}
.turns{max-width:360px;gap:.5rem}#turns{flex:1;height:1rem;width:0}
.legend{display:flex;flex-direction:column;gap:.3rem}#bar{flex:1 1 0;width:1rem;height:0;min-height:0}
#elements{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0}figcaption{margin-bottom:.4rem}`;

const script = String.raw`
const $ = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const amplitude = bytes(data.amplitude), phase = bytes(data.phase), colors = bytes(data.colors);
const names = ['z', 'y', 'x'];
const mm = (value) => (value * 1000).toFixed(2) + ' mm';
const hue = (turn) => { const f = (n) => { const k = (n + turn * 12) % 12; return 255 * (0.5 - 0.5 * Math.max(-1, Math.min(k - 3, 9 - k, 1))); }; return [f(0), f(8), f(4)]; };
$('name').textContent = data.name;
$('largest').textContent = 'Largest pressure ' + data.largestText + '. Point for a value.';
const axis = () => Number($('plane').value);
const others = () => [0, 1, 2].filter((each) => each !== axis());
const offset = (index) => (index[0] * data.shape[1] + index[1]) * data.shape[2] + index[2];
function draw() {
  const [up, across] = others();
  const width = data.shape[across], height = data.shape[up], canvas = $('field');
  const context = canvas.getContext('2d'), image = context.createImageData(width, height);
  const large = Math.max(1, Math.floor(640 / width)), small = document.createElement('canvas');
  const index = [0, 0, 0]; index[axis()] = Number($('at').value);
  const phased = $('shown').value === 'phase';
  for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
    index[up] = height - 1 - row; index[across] = column;
    const i = offset(index);
    const color = phased ? hue(phase[i] / 255) : colors.subarray(3 * amplitude[i], 3 * amplitude[i] + 3);
    image.data.set([color[0], color[1], color[2], 255], 4 * (row * width + column));
  }
  small.width = width; small.height = height;
  small.getContext('2d').putImageData(image, 0, 0);
  canvas.width = width * large; canvas.height = height * large;
  context.imageSmoothingEnabled = !phased; // Phases have a jump, which means would fill.
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  context.strokeStyle = '#4cf';
  for (const { position } of data.targets) {
    const at = (which) => (position[2 - which] - data.first[which]) / data.step;
    if (Math.abs(at(axis()) - index[axis()]) > 2) continue;
    // Four strokes that leave what is in their midst to be seen.
    const x = (at(across) + 0.5) * large, y = (height - 0.5 - at(up)) * large;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { context.moveTo(x + 12 * dx, y + 12 * dy); context.lineTo(x + 22 * dx, y + 22 * dy); }
    context.stroke();
  }
  for (const [id, which] of [['up', up], ['across', across]]) {
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => mm(data.first[which] + part * (data.shape[which] - 1) * data.step));
    ticks[2] = names[which] + ' → ' + ticks[2];
    $(id).replaceChildren(...ticks.map((text) => Object.assign(document.createElement('span'), { textContent: text })));
  }
  $('most').textContent = phased ? '180°' : data.largestText;
  $('least').textContent = phased ? '−180°' : '0';
  const bar = $('bar').getContext('2d'), scale = bar.createImageData(1, 256);
  for (let i = 0; i < 256; i++) scale.data.set([...(phased ? hue(i / 255) : colors.subarray(3 * i, 3 * i + 3)), 255], 4 * (255 - i));
  bar.putImageData(scale, 0, 0);
  $('place').textContent = names[axis()] + ' = ' + mm(data.first[axis()] + index[axis()] * data.step);
}
function turn() {
  $('at').max = data.shape[axis()] - 1;
  $('at').value = Math.floor(data.shape[axis()] / 2);
  draw();
}
$('plane').addEventListener('change', turn);
$('shown').addEventListener('change', draw);
$('at').addEventListener('input', draw);
$('field').addEventListener('mousemove', (event) => {
  const box = $('field').getBoundingClientRect(), [up, across] = others(), index = [0, 0, 0];
  const part = (value, count) => Math.min(count - 1, Math.max(0, Math.floor(value * count)));
  index[axis()] = Number($('at').value);
  index[across] = part((event.clientX - box.left) / box.width, data.shape[across]);
  index[up] = data.shape[up] - 1 - part((event.clientY - box.top) / box.height, data.shape[up]);
  const i = offset(index);
  $('value').textContent = [2, 1, 0].map((each) => names[each] + ' ' + mm(data.first[each] + index[each] * data.step)).join(', ') +
    ': ' + (amplitude[i] / 255 * data.largest).toPrecision(3) + ' Pa, ' + (phase[i] / 255 * 360 - 180).toFixed(0) + '°';
});
// Arrays that face each other lie apart: each side has a picture of its own.
(() => {
  const heights = data.elements.map((element) => element[2]), low = Math.min(...heights), high = Math.max(...heights);
  const apart = high - low > 1e-3 && !heights.some((z) => Math.abs(z - (low + high) / 2) < (high - low) / 6);
  const sides = apart ? [false, true].map((upper) => data.elements.filter((element) => element[2] > (low + high) / 2 === upper)) : [data.elements];
  const reach = Math.max(1e-3, ...data.elements.map(([x, y]) => Math.max(Math.abs(x), Math.abs(y)))) * 1.1;
  for (const side of sides) {
    const figure = document.createElement('figure'), caption = document.createElement('figcaption'), canvas = document.createElement('canvas');
    caption.textContent = side.length + ' elements' + (apart ? ' at z ' + (side[0][2] > (low + high) / 2 ? 'above ' : 'below ') + mm((low + high) / 2) : '');
    canvas.width = canvas.height = 360;
    figure.append(caption, canvas);
    $('elements').append(figure);
    const context = canvas.getContext('2d'), radius = Math.max(2, 100 / Math.sqrt(side.length));
    for (const [x, y, , angle] of side) {
      context.fillStyle = 'rgb(' + hue((((angle / (2 * Math.PI) + 0.5) % 1) + 1) % 1).map(Math.round) + ')';
      context.beginPath(); context.arc(180 + 180 * x / reach, 180 - 180 * y / reach, radius, 0, 7); context.fill();
    }
  }
})();
(() => {
  const context = $('turns').getContext('2d'), scale = context.createImageData(256, 1);
  for (let i = 0; i < 256; i++) scale.data.set([...hue(i / 255), 255], 4 * i);
  context.putImageData(scale, 0, 0);
})();
turn();
`;
