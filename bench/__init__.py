"""What Trunkline does in a second beside others, measured on the machine it runs on: `python -m bench`.

A contender is a file of contenders/, which runs in an environment of its own and speaks a small command line
(contenders/command.py); a figure is a file of figures/; stage.py gives each run fresh servers; plan.py takes
all in turns; result.py is what comes out, and page/ what is made of it.
"""
