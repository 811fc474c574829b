// What the mock says, by the words of the question.

export const TORTURE = `# Everything at once

A paragraph with **bold**, *italic*, ~~struck~~, \`inline code\`, a [link](https://example.com/docs?a=1&b=2 "title"),
an autolink https://example.org/path, an image ![a cat](https://tracker.example/cat.png) and entities &amp; &copy; &#x3c;b&#x3e;.

## Lists

1. First
2. Second
   - nested **item**
   - another one
     \`\`\`bash
     echo "code in a list"
     \`\`\`
3. Third

- [x] done already
- [ ] still to do
- plain

> A quote
> over two lines
>
> - with a list

## A table

| Name | Age | Height |
|:-----|----:|:------:|
| Tom | 20 | 6.1 |
| Brad \\| Pitt | 21 | 5.9 |
| \`code\` | **19** | 6.0 |

### Code

\`\`\`python
import matplotlib.pyplot as plt

def fibonacci(n: int) -> int:
    """The n-th number."""
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a  # grows fast

plt.plot([fibonacci(i) for i in range(20)])
plt.show()
\`\`\`

\`\`\`js main.js
const greet = (name) => \`Hello \${name}\`; // a template
console.log(greet("<script>alert(1)</script>"));
\`\`\`

Some HTML that stays text: <b>not bold</b> <img src=x onerror=alert(1)>

---

Formulas: $e^{i\\pi} + 1 = 0$ costs $5 and $10, \\(\\alpha \\le \\beta\\), and

$$
\\int_0^1 x^2 \\, dx = \\left[ \\frac{x^3}{3} \\right]_0^1 = \\frac{1}{3}
$$

\\[ \\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix} \\vec{x} = \\sum_{i=1}^{n} x_i \\]

[ref]: https://example.net/reference
A reference: [the text][ref].

The end.
`;

export const PLOT = `Here is a figure with two subplots, one for the heights and one for the ages:

\`\`\`python
import matplotlib.pyplot as plt
import seaborn as sns

data = {"Name": ["Tom", "Brad", "Kyle", "Jerry"],
        "Age": [20, 21, 19, 18],
        "Height": [6.1, 5.9, 6.0, 6.1]}

sns.set_context("talk")
fig, axes = plt.subplots(1, 2, figsize=(12, 5))
sns.barplot(x=data["Name"], y=data["Height"], ax=axes[0])
axes[0].set_title("Height")
sns.barplot(x=data["Name"], y=data["Age"], ax=axes[1])
axes[1].set_title("Age")
fig.tight_layout()
plt.show()
\`\`\`

- \`set_context("talk")\` makes the labels large enough for slides.
- Each \`barplot\` draws into its own axes, so the scales stay apart.
`;

export const MATH = `The Gaussian integral is

$$
\\int_{-\\infty}^{\\infty} e^{-x^2} \\, dx = \\sqrt{\\pi}
$$

For a matrix $A \\in \\mathbb{R}^{n \\times n}$ with eigenvalues $\\lambda_1, \\dots, \\lambda_n$:

\\[
\\det(A) = \\prod_{i=1}^{n} \\lambda_i, \\qquad \\operatorname{tr}(A) = \\sum_{i=1}^{n} \\lambda_i
\\]

$$
f(x) = \\begin{cases} x^2 & \\text{if } x > 0 \\\\ \\frac{1}{2}\\left(1 + \\hat{x}\\right) & \\text{otherwise} \\end{cases}
$$

Softmax: $\\sigma(z)_i = \\frac{e^{z_i}}{\\sum_j e^{z_j}}$.
`;

export const TABLE = `| Language | Typing | First year | Note |
|---|---|--:|:-:|
| Python | dynamic | 1991 | *batteries included* |
| Rust | static | 2015 | borrow checker |
| C | static | 1972 | \`gcc -O2\` |

That is the comparison.
`;

export const LONG = Array.from({ length: 60 }, (_, i) => `Paragraph ${i + 1}. The quick brown fox jumps over the lazy dog, again and again, so that this text grows longer than any window is high.`).join('\n\n');

export function textFor(question, model, seed) {
  const q = question.toLowerCase();
  if (q.includes('everything')) return TORTURE;
  if (q.includes('table')) return TABLE;
  if (q.includes('formula') || q.includes('integral')) return MATH;
  if (q.includes('long')) return LONG;
  if (q.includes('plot') || q.includes('seaborn')) return PLOT;
  return `This is **${model}** answering “${question.split('\n')[0].slice(0, 60)}”.\n\n\`\`\`python\nprint("hello ${seed ?? 'random'}")\n\`\`\`\n`;
}
