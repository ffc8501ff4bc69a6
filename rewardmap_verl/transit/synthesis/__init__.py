"""The parts of the network generator: line layout on a grid, stop selection and names."""
