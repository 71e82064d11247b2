"""
From a long table to θ
======================

Clinical data come as long tables: a row for each subject and time, at irregular times, with
missing values, and the doses in a table of their own. Here a drug is infused twice. The trial is
simulated, so that the truth is known: at high concentrations the body eliminates a smaller part of
the drug per hour, and the physics does not know that.
"""

# %%
# The tables
# ----------
# Two CSV texts, as they could come from a laboratory and from a ward.

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp

from skhybrid import ODE, HybridRegressor, Param, Physics, trajectories_from_frame

TRUE = {"volume": 0.6, "elimination": 0.35}  # L/kg; 1/h at low concentration
HALF = 6.0  # mg/L, the concentration at which the elimination is half as fast
START = pd.Timestamp("2026-03-02 08:00")
COLOURS = {"physics alone": "#999999", "hybrid": "#0072B2"}


def simulate_trial(n_subjects=12, seed=0):
    """Return the CSV texts of the measurements and of the doses."""
    rng = np.random.default_rng(seed)
    samples, doses = [], []
    for number in range(n_subjects):
        subject, weight = f"S{number:02d}", float(rng.integers(50, 95))
        volume = TRUE["volume"] * weight
        first, second = rng.choice([150, 300, 450]), rng.choice([150, 600])
        changes = {0.0: first, 0.5: 0.0, 6.0: second, 6.5: 0.0}
        times = np.sort(rng.uniform(0.2, 14.0, rng.integers(9, 13)))
        edges, amount, found = [*changes, 15.0], 0.0, {}
        for begin, end, rate in zip(edges, edges[1:], changes.values(), strict=False):

            def change(t, a, rate=rate, volume=volume):
                return rate - TRUE["elimination"] * a / (1 + a / volume / HALF)

            inside = times[(times > begin) & (times <= end)]
            at = np.append(inside, end)
            path = solve_ivp(change, (begin, end), [amount], t_eval=at, rtol=1e-8).y[0]
            amount = path[-1]
            found.update(zip(inside, path / volume, strict=False))
            doses.append((subject, START + pd.Timedelta(begin, "h"), rate))
        for t in times:
            value = found[t] * (1 + 0.04 * rng.normal())
            when = (START + pd.Timedelta(t, "h")).round("min")
            samples.append((subject, when, weight, value if rng.random() > 0.05 else np.nan))
    samples = pd.DataFrame(samples, columns=["subject", "date", "weight", "concentration"])
    doses = pd.DataFrame(doses, columns=["subject", "date", "rate"])
    samples = samples.round({"concentration": 3}).sample(frac=1.0, random_state=seed)  # unsorted
    return samples.to_csv(index=False), doses.to_csv(index=False)


samples_csv, doses_csv = simulate_trial()
print(samples_csv[:170], doses_csv[:130], sep="\n")

# %%
# From the tables to records
# --------------------------
# Dates need a unit, which is then the unit of time in θ. An infusion is an event that sets its
# rate, and another one that sets it to zero. The records get rows at these times, so that the
# steps of the solver end where the rate jumps. The weight is a feature, constant in a subject. At
# the beginning there is no drug in the body: a known initial state.

samples = pd.read_csv(io.StringIO(samples_csv), parse_dates=["date"])
doses = pd.read_csv(io.StringIO(doses_csv), parse_dates=["date"])
data = trajectories_from_frame(
    samples,
    run="subject",
    time="date",
    outputs="concentration",
    inputs="rate",
    features="weight",
    initial_states={"drug": 0.0},
    events=doses,
    time_unit="h",
)
data.X[0].head().round(2)

# %%
# From records to θ
# -----------------
# The physics eliminates a constant part of the drug per hour. The volume of distribution is in
# proportion to the weight. It appears only in what is measured, so ``observe`` reads it. The
# network sees the amount of drug and the weight, not the infusion.


def body(t, drug, inputs, *, volume, elimination):
    return inputs[:, :1] - elimination * drug


def concentration(drug, inputs, *, volume):
    return drug / (volume * inputs[:, 1:])


physics = Physics(
    body,
    volume=Param(1.0, bounds=(0.0, None), unit="L/kg"),
    elimination=Param(0.2, bounds=(0.0, None), unit="1/h"),
)
structure = ODE(**data.ode, observe=concentration)
models = {
    name: HybridRegressor(physics, nn, structure, random_state=0, **options, **data.regressor)
    for name, nn, options in [
        ("physics alone", None, {}),
        ("hybrid", (16, 16), {"nn_features": ["drug", "weight"], "max_epochs": 200}),
    ]
}
for model in models.values():
    model.fit(data.X, data.y)
pd.DataFrame({name: model.physics_params_ for name, model in models.items()} | {"truth": TRUE}).T

# %%
# The doses are known, so they fix the volume. The elimination is another matter: the network sees
# the amount, which is what the physics multiplies. No rule can divide the loss of drug between
# the two parts. What the data determine is their sum, here for a subject of 70 kg without an
# infusion.

amounts = np.linspace(25, 350, 50)
inputs = np.column_stack([np.zeros(50), np.full(50, 70.0)])
truth = TRUE["elimination"] / (1 + amounts / (TRUE["volume"] * 70.0 * HALF))
figure, axis = plt.subplots(figsize=(6, 3.6))
axis.plot(amounts, truth, "--", color="black", label="truth")
for name, colour in COLOURS.items():
    from_physics, from_network = models[name].predict_rates(amounts[:, None], inputs=inputs)
    part = -(from_physics + from_network)[:, 0] / amounts
    axis.plot(amounts, part, color=colour, label=name)
axis.set(xlabel="drug in the body (mg)", ylabel="part eliminated (1/h)", ylim=(0, None))
axis.legend()
figure.tight_layout()

# %%
# Predictions as a table
# ----------------------
# ``data.to_frame`` brings predictions back to a long table, whose index is that of the samples.

table = samples.copy()
for name, model in models.items():
    predicted = data.to_frame(model.predict(data.X), names=name)
    table = table.join(predicted[[name]])
table.sort_values(["subject", "date"]).head(8)

# %%
# Another dose is another table of events, and other times are another long table. Without
# ``outputs`` there is no ``y``. Each subject gets the same dose as before, and half of it.

hours = pd.timedelta_range("0h", "14h", freq="10min")
planned = pd.concat(
    samples[["subject", "weight"]].drop_duplicates().assign(date=START + hour) for hour in hours
)


def predict_dose(model, part):
    """Return the concentrations every ten minutes, after a part of all doses."""
    new = trajectories_from_frame(
        planned,
        run="subject",
        time="date",
        inputs="rate",
        features="weight",
        initial_states={"drug": 0.0},
        events=doses.assign(rate=part * doses["rate"]),
        time_unit="h",
        time_origin=data.time_origin,
    )
    return new.to_frame(model.predict(new.X), names="concentration")


curves = {
    "physics alone": (predict_dose(models["physics alone"], 1.0), "-", "#999999"),
    "hybrid": (predict_dose(models["hybrid"], 1.0), "-", "#0072B2"),
    "hybrid, half the dose": (predict_dose(models["hybrid"], 0.5), "--", "#D55E00"),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
for subject, axis in zip(["S00", "S03"], axes, strict=True):
    own = table[table["subject"] == subject].sort_values("date")
    elapsed = (own["date"] - START) / pd.Timedelta("1h")
    axis.plot(elapsed, own["concentration"], "o", color="black", label="measured")
    for name, (curve, line, colour) in curves.items():
        predicted = curve.loc[curve["subject"] == subject, "concentration"]
        axis.plot(hours / pd.Timedelta("1h"), predicted, line, color=colour, label=name)
    axis.set(title=f"subject {subject}", xlabel="time (h)")
axes[0].set_ylabel("concentration (mg/L)")
axes[1].legend(fontsize="small")
figure.tight_layout()
