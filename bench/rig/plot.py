"""The pictures of the benches. Colours of Okabe and Ito, which colour-blind readers can tell apart."""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

DUMPS = ("#D55E00", "#56B4E9", "#0072B2")
MARKS = {"relay": ("#D55E00", "X"), "amanda": ("#E69F00", "s"), "headrace": ("#0072B2", "o"), "headrace-inetd": ("#009E73", "^")}

plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
                     "figure.dpi": 100, "savefig.dpi": 100})


def timelines(path, panels, names, title, top=150, link=124):
    """Panels of stacked rates, one below the other: [(title, timeline, marks)], each with its own phases marked."""
    figure, axes = plt.subplots(len(panels), 1, figsize=(13, 2.75 * len(panels) + 0.9), sharex=True, squeeze=False)
    for axis, (panel_title, timeline, marks) in zip(axes[:, 0], panels):
        times = [row[0] for row in timeline]
        axis.stackplot(times, *([row[disk] for row in timeline] for disk in (1, 2, 3)), colors=DUMPS, labels=names, linewidth=0)
        axis.axhline(link, color="#444444", linewidth=0.8, linestyle=(0, (4, 3)))
        axis.set_title(panel_title, loc="left", fontsize=11, fontweight="bold", pad=30)
        axis.set_ylim(0, top)
        axis.set_yticks(range(0, top, 40))
        axis.set_ylabel("MB/s on the server")
        for number, (begin, name) in enumerate(marks[:-1]):
            end = marks[number + 1][0]
            axis.axvline(begin, color="#888888", linewidth=0.7)
            if number % 2:
                axis.axvspan(begin, end, ymin=1.0, ymax=1.18, color="#EEEEEE", clip_on=False, linewidth=0)
            axis.text((begin + end) / 2, 1.09, name, transform=axis.get_xaxis_transform(), ha="center", va="center", fontsize=7.5,
                      linespacing=0.95)
        axis.set_xlim(0, max(marks[-1][0] for _, _, marks in panels))
    axes[-1, 0].set_xlabel("seconds since all three dumps were under way")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncol=3, frameon=False, fontsize=9, bbox_to_anchor=(0.995, 0.995))
    figure.tight_layout(rect=(0, 0, 1, 0.985))
    figure.savefig(path)
    plt.close(figure)


def dots(path, rows, series, title, axis_title, limit):
    """A row for each condition, a mark for each client: [(label, {series name: value})], {series name: (kind, label, filled)}."""
    figure, axis = plt.subplots(figsize=(11, 0.5 * len(rows) + 2.1))
    for number, (_, values) in enumerate(rows):
        axis.axhline(number, color="#DDDDDD", linewidth=0.8, zorder=0)
        shown = [name for name in series if name in values]
        for place, name in enumerate(shown):
            kind, _, face = series[name]
            colour, marker = MARKS[kind]
            axis.plot(values[name], number + (place - (len(shown) - 1) / 2) * 0.11, marker, color=colour, markersize=8,
                      markerfacecolor=colour if face else "white", markeredgewidth=1.5, zorder=3, clip_on=False)
    axis.axvline(limit, color="#444444", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axis.text(limit, -0.75, f"asked: {limit:.2f} ", ha="right", va="center", fontsize=9, color="#444444")
    axis.set_yticks(range(len(rows)), [label for label, _ in rows])
    axis.invert_yaxis()
    axis.set_ylim(len(rows) - 0.4, -1.1)
    axis.set_xlim(0, 1.15)
    axis.set_xlabel(axis_title)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    handles = [plt.Line2D([], [], color=MARKS[kind][0], marker=MARKS[kind][1], linestyle="", markersize=8, markeredgewidth=1.5,
                          markerfacecolor=MARKS[kind][0] if face else "white", label=label) for kind, label, face in series.values()]
    figure.legend(handles=handles, loc="lower center", ncol=3, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.035 * ((len(handles) + 2) // 3) + 0.03, 1, 1))
    figure.savefig(path)
    plt.close(figure)
